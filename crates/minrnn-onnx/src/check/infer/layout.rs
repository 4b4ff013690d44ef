//! Operators that move or reshape values, and those over whole axes.

use super::elementwise::broadcast;
use super::{Inputs, MAX_CONTENT, axis, get, integers, numbers, only_type, typed};
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};
use crate::ir::{Attr, DType, Node};

pub(in crate::check) fn shape(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let dims = get(inputs, 0).and_then(|i| i.ty.dims.as_ref());
    let mut info = Info::new(
        Some(DType::I64),
        Some(vec![dims.map(|d| Expr::number(d.len() as i64))]),
    );
    info.content = dims
        .filter(|d| d.len() <= MAX_CONTENT)
        .and_then(|d| d.iter().cloned().collect());
    Ok(vec![info])
}

pub(in crate::check) fn matmul(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let is_number =
        |d: DType| d.is_float() || matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64);
    let dtype = typed(inputs, 0, "a number", is_number)?;
    typed(inputs, 1, "the type of input 0", |d| {
        dtype.is_none_or(|a| a == d)
    })?;
    let dims = |i: usize| get(inputs, i).and_then(|info| info.ty.dims.clone());
    let (Some(a), Some(b)) = (dims(0), dims(1)) else {
        return only_type(dtype);
    };
    // A vector takes part as a row on the left, as a column on the right.
    let (Some((k_a, rows)), Some(last_b)) = (a.split_last(), b.last()) else {
        return fault(Rule::Shape, "a number is no matrix");
    };
    let (k_b, columns) = if b.len() == 1 {
        (last_b, None)
    } else {
        (&b[b.len() - 2], Some(last_b.clone()))
    };
    if same(k_a, k_b).is_none() {
        return fault(
            Rule::Shape,
            format!(
                "the left has {} columns, the right {} rows",
                extent_text(k_a),
                extent_text(k_b)
            ),
        );
    }
    let (row, batch_a) = rows
        .split_last()
        .map_or((None, &[][..]), |(row, batch)| (Some(row.clone()), batch));
    let mut dims = broadcast(batch_a, &b[..b.len().saturating_sub(2)])?;
    dims.extend(row);
    dims.extend(columns);
    Ok(vec![Info::new(dtype, Some(dims))])
}

pub(in crate::check) fn gather(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    typed(inputs, 1, "i32 or i64", |d| {
        matches!(d, DType::I32 | DType::I64)
    })?;
    let dtype = get(inputs, 0).and_then(|i| i.ty.dtype);
    let dims = |i: usize| get(inputs, i).and_then(|info| info.ty.dims.clone());
    let (Some(data), Some(indices)) = (dims(0), dims(1)) else {
        return only_type(dtype);
    };
    let along = axis(node.int("axis").unwrap_or(0), data.len())?;
    let dims = [&data[..along], &indices, &data[along + 1..]].concat();
    Ok(vec![Info::new(dtype, Some(dims))])
}

pub(in crate::check) fn reduce_mean(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let dtype = typed(inputs, 0, "a number", |d| {
        d.is_float() || matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64)
    })?;
    let Some(dims) = get(inputs, 0).and_then(|i| i.ty.dims.clone()) else {
        return only_type(dtype);
    };
    let all: Vec<i64> = (0..dims.len() as i64).collect();
    let axes = node.ints("axes").unwrap_or(&all);
    let axes = axes
        .iter()
        .map(|a| axis(*a, dims.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let one = |(i, d): (usize, Extent)| match (axes.contains(&i), keep) {
        (false, _) => Some(d),
        (true, true) => Some(Some(Expr::number(1))),
        (true, false) => None,
    };
    Ok(vec![Info::new(
        dtype,
        Some(dims.into_iter().enumerate().filter_map(one).collect()),
    )])
}

pub(in crate::check) fn squeeze(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let Some(x) = get(inputs, 0) else {
        return only_type(None);
    };
    let given = if inputs.len() > 1 {
        numbers(inputs, 1)?
    } else {
        None
    };
    let (Some(dims), Some(axes)) = (&x.ty.dims, given) else {
        return only_type(x.ty.dtype);
    };
    let axes = axes
        .iter()
        .map(|a| axis(*a, dims.len()))
        .collect::<Result<Vec<_>, _>>()?;
    for a in &axes {
        if let Some(e) = dims[*a].as_ref().filter(|e| e.as_number() != Some(1)) {
            return fault(
                Rule::Shape,
                format!("dimension {a} is {e}, only one of 1 can go"),
            );
        }
    }
    let kept = dims
        .iter()
        .enumerate()
        .filter(|(i, _)| !axes.contains(i))
        .map(|(_, d)| d.clone())
        .collect();
    Ok(vec![Info {
        content: x.content.clone(),
        ..Info::new(x.ty.dtype, Some(kept))
    }])
}

pub(in crate::check) fn unsqueeze(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let Some(x) = get(inputs, 0) else {
        return only_type(None);
    };
    let (Some(dims), Some(axes)) = (&x.ty.dims, numbers(inputs, 1)?) else {
        return only_type(x.ty.dtype);
    };
    let rank = dims.len() + axes.len();
    let mut at = axes
        .iter()
        .map(|a| axis(*a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    at.sort_unstable();
    if at.windows(2).any(|w| w[0] == w[1]) {
        return fault(Rule::Shape, format!("axes {axes:?} name one axis twice"));
    }
    let mut rest = dims.iter().cloned();
    let new = (0..rank)
        .map(|i| {
            if at.contains(&i) {
                Some(Expr::number(1))
            } else {
                rest.next().flatten()
            }
        })
        .collect();
    let content = x.content.clone().filter(|_| rank == 1);
    Ok(vec![Info {
        content,
        ..Info::new(x.ty.dtype, Some(new))
    }])
}

pub(in crate::check) fn expand(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    integers(inputs, 1)?;
    let Some(x) = get(inputs, 0) else {
        return only_type(None);
    };
    let target = get(inputs, 1).and_then(|i| i.content.as_ref());
    let (Some(dims), Some(target)) = (&x.ty.dims, target) else {
        return only_type(x.ty.dtype);
    };
    let target: Vec<Extent> = target.iter().cloned().map(Some).collect();
    Ok(vec![Info::new(x.ty.dtype, Some(broadcast(dims, &target)?))])
}

pub(in crate::check) fn pad(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    if let Some(Attr::Str(mode)) = node.attr("mode")
        && !matches!(mode.as_slice(), b"constant" | b"reflect" | b"edge")
    {
        return fault(
            Rule::Attribute,
            format!("mode `{}` is not defined", String::from_utf8_lossy(mode)),
        );
    }
    integers(inputs, 1)?;
    let dtype = get(inputs, 0).and_then(|i| i.ty.dtype);
    if inputs.len() > 2 {
        typed(inputs, 2, "the type of input 0", |d| {
            dtype.is_none_or(|a| a == d)
        })?;
    }
    let dims = get(inputs, 0).and_then(|i| i.ty.dims.as_ref());
    let pads = get(inputs, 1).and_then(|i| i.content.as_ref());
    let (Some(dims), Some(pads)) = (dims, pads) else {
        return only_type(dtype);
    };
    if pads.len() != 2 * dims.len() {
        return fault(
            Rule::Shape,
            format!(
                "{} pads for rank {}, wanted two for each axis",
                pads.len(),
                dims.len()
            ),
        );
    }
    let padded = |(i, d): (usize, &Extent)| d.as_ref()?.add(&pads[i])?.add(&pads[dims.len() + i]);
    Ok(vec![Info::new(
        dtype,
        Some(dims.iter().enumerate().map(padded).collect()),
    )])
}
