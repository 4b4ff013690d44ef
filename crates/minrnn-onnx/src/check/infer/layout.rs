//! Operators that move or reshape values, and those over whole axes.

use super::elementwise::broadcast;
use super::{Inputs, MAX_CONTENT, axis, get, integers, numbers, only_type, typed};
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};
use crate::ir::{Attr, DType, Node};

pub(in crate::check) fn shape(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let dims = get(inputs, 0).and_then(|i| i.ty.dims.as_ref());
    let mut info = Info::new(Some(DType::I64), Some(vec![dims.map(|d| Expr::number(d.len() as i64))]));
    info.content = dims.filter(|d| d.len() <= MAX_CONTENT).and_then(|d| d.iter().cloned().collect());
    Ok(vec![info])
}

pub(in crate::check) fn matmul(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let is_number = |d: DType| d.is_float() || matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64);
    let dtype = typed(inputs, 0, "a number", is_number)?;
    typed(inputs, 1, "the type of input 0", |d| dtype.is_none_or(|a| a == d))?;
    let dims = |i: usize| get(inputs, i).and_then(|info| info.ty.dims.clone());
    let (Some(a), Some(b)) = (dims(0), dims(1)) else { return only_type(dtype) };
    // A vector takes part as a row on the left, as a column on the right.
    let (Some((k_a, rows)), Some(last_b)) = (a.split_last(), b.last()) else {
        return fault(Rule::Shape, "a number is no matrix");
    };
    let (k_b, columns) = if b.len() == 1 { (last_b, None) } else { (&b[b.len() - 2], Some(last_b.clone())) };
    if same(k_a, k_b).is_none() {
        return fault(Rule::Shape, format!("the left has {} columns, the right {} rows", extent_text(k_a), extent_text(k_b)));
    }
    let (row, batch_a) = rows.split_last().map_or((None, &[][..]), |(row, batch)| (Some(row.clone()), batch));
    let mut dims = broadcast(batch_a, &b[..b.len().saturating_sub(2)])?;
    dims.extend(row);
    dims.extend(columns);
    Ok(vec![Info::new(dtype, Some(dims))])
}

pub(in crate::check) fn gather(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    typed(inputs, 1, "i32 or i64", |d| matches!(d, DType::I32 | DType::I64))?;
    let dtype = get(inputs, 0).and_then(|i| i.ty.dtype);
    let dims = |i: usize| get(inputs, i).and_then(|info| info.ty.dims.clone());
    let (Some(data), Some(indices)) = (dims(0), dims(1)) else { return only_type(dtype) };
    let along = axis(node.int("axis").unwrap_or(0), data.len())?;
    let dims = [&data[..along], &indices, &data[along + 1..]].concat();
    Ok(vec![Info::new(dtype, Some(dims))])
}

pub(in crate::check) fn reduce_mean(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let dtype = typed(inputs, 0, "a number", |d| d.is_float() || matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64))?;
    let Some(dims) = get(inputs, 0).and_then(|i| i.ty.dims.clone()) else { return only_type(dtype) };
    let all: Vec<i64> = (0..dims.len() as i64).collect();
    let axes = node.ints("axes").unwrap_or(&all);
    let axes = axes.iter().map(|a| axis(*a, dims.len())).collect::<Result<Vec<_>, _>>()?;
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let one = |(i, d): (usize, Extent)| match (axes.contains(&i), keep) {
        (false, _) => Some(d),
        (true, true) => Some(Some(Expr::number(1))),
        (true, false) => None,
    };
    Ok(vec![Info::new(dtype, Some(dims.into_iter().enumerate().filter_map(one).collect()))])
}

pub(in crate::check) fn squeeze(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let Some(x) = get(inputs, 0) else { return only_type(None) };
    let given = if inputs.len() > 1 { numbers(inputs, 1)? } else { None };
    let (Some(dims), Some(axes)) = (&x.ty.dims, given) else { return only_type(x.ty.dtype) };
    let axes = axes.iter().map(|a| axis(*a, dims.len())).collect::<Result<Vec<_>, _>>()?;
    for a in &axes {
        if let Some(e) = dims[*a].as_ref().filter(|e| e.as_number() != Some(1)) {
            return fault(Rule::Shape, format!("dimension {a} is {e}, only one of 1 can go"));
        }
    }
    let kept = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone()).collect();
    Ok(vec![Info { content: x.content.clone(), ..Info::new(x.ty.dtype, Some(kept)) }])
}

pub(in crate::check) fn unsqueeze(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let Some(x) = get(inputs, 0) else { return only_type(None) };
    let (Some(dims), Some(axes)) = (&x.ty.dims, numbers(inputs, 1)?) else { return only_type(x.ty.dtype) };
    let rank = dims.len() + axes.len();
    let mut at = axes.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    at.sort_unstable();
    if at.windows(2).any(|w| w[0] == w[1]) {
        return fault(Rule::Shape, format!("axes {axes:?} name one axis twice"));
    }
    let mut rest = dims.iter().cloned();
    let new = (0..rank).map(|i| if at.contains(&i) { Some(Expr::number(1)) } else { rest.next().flatten() }).collect();
    let content = x.content.clone().filter(|_| rank == 1);
    Ok(vec![Info { content, ..Info::new(x.ty.dtype, Some(new)) }])
}

pub(in crate::check) fn expand(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    integers(inputs, 1)?;
    let Some(x) = get(inputs, 0) else { return only_type(None) };
    let target = get(inputs, 1).and_then(|i| i.content.as_ref());
    let (Some(dims), Some(target)) = (&x.ty.dims, target) else { return only_type(x.ty.dtype) };
    let target: Vec<Extent> = target.iter().cloned().map(Some).collect();
    Ok(vec![Info::new(x.ty.dtype, Some(broadcast(dims, &target)?))])
}

pub(in crate::check) fn pad(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    if let Some(Attr::Str(mode)) = node.attr("mode")
        && !matches!(mode.as_slice(), b"constant" | b"reflect" | b"edge")
    {
        return fault(Rule::Attribute, format!("mode `{}` is not defined", String::from_utf8_lossy(mode)));
    }
    integers(inputs, 1)?;
    let dtype = get(inputs, 0).and_then(|i| i.ty.dtype);
    if inputs.len() > 2 {
        typed(inputs, 2, "the type of input 0", |d| dtype.is_none_or(|a| a == d))?;
    }
    let dims = get(inputs, 0).and_then(|i| i.ty.dims.as_ref());
    let pads = get(inputs, 1).and_then(|i| i.content.as_ref());
    let (Some(dims), Some(pads)) = (dims, pads) else { return only_type(dtype) };
    if pads.len() != 2 * dims.len() {
        return fault(Rule::Shape, format!("{} pads for rank {}, wanted two for each axis", pads.len(), dims.len()));
    }
    let padded = |(i, d): (usize, &Extent)| d.as_ref()?.add(&pads[i])?.add(&pads[dims.len() + i]);
    Ok(vec![Info::new(dtype, Some(dims.iter().enumerate().map(padded).collect()))])
}

pub(in crate::check) fn reshape(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    integers(inputs, 1)?;
    let Some(x) = get(inputs, 0) else { return only_type(None) };
    let Some(target) = get(inputs, 1).and_then(|i| i.content.as_ref()) else {
        let rank = get(inputs, 1).and_then(|i| i.ty.dims.as_ref()?.first()?.as_ref()?.as_number());
        let rank = rank.and_then(|r| usize::try_from(r).ok()).filter(|r| *r <= MAX_CONTENT);
        return Ok(vec![Info::new(x.ty.dtype, rank.map(|r| vec![None; r]))]);
    };
    let zero_is_zero = node.int("allowzero").unwrap_or(0) != 0;
    let mut dims: Vec<Extent> = vec![];
    let mut rest = None;
    for (i, t) in target.iter().enumerate() {
        match t.as_number() {
            Some(0) if !zero_is_zero => match &x.ty.dims {
                Some(d) if i >= d.len() => return fault(Rule::Shape, format!("0 in dimension {i} of rank {} keeps nothing", d.len())),
                d => dims.push(d.as_ref().and_then(|d| d[i].clone())),
            },
            Some(-1) if rest.is_some() => return fault(Rule::Shape, "two dimensions are -1"),
            Some(-1) => {
                rest = Some(i);
                dims.push(None);
            }
            Some(n) if n < 0 => return fault(Rule::Shape, format!("dimension {i} is {n}")),
            _ => dims.push(Some(t.clone())),
        }
    }
    if let Some(from) = &x.ty.dims {
        let others = dims.iter().enumerate().filter(|(i, _)| Some(*i) != rest).map(|(_, d)| d.clone()).collect::<Vec<_>>();
        match (rest, quotient(from, &others)) {
            (Some(i), Quotient::Known(e)) => dims[i] = Some(e),
            (None, Quotient::Known(e)) if e.as_number().is_some_and(|n| n != 1) => return fault(Rule::Shape, counts(from, &others)),
            (_, Quotient::Impossible) => return fault(Rule::Shape, counts(from, &others)),
            _ => {}
        }
    }
    let content = x.content.clone().filter(|_| dims.len() <= 1);
    Ok(vec![Info { content, ..Info::new(x.ty.dtype, Some(dims)) }])
}

fn counts(from: &[Extent], to: &[Extent]) -> String {
    let text = |d: &[Extent]| d.iter().map(extent_text).collect::<Vec<_>>().join("*");
    format!("{} entries cannot fill {}", text(from), text(to))
}

enum Quotient {
    Known(Expr),
    Unknown,
    Impossible,
}

/// Product of `from` over product of `to`.
fn quotient(from: &[Extent], to: &[Extent]) -> Quotient {
    let split = |dims: &[Extent]| {
        let mut number = 1i64;
        let mut named = vec![];
        for d in dims {
            match d.as_ref().map(|e| (e, e.as_number())) {
                None => return None,
                Some((_, Some(n))) => number = number.checked_mul(n)?,
                Some((e, None)) => named.push(e.clone()),
            }
        }
        Some((number, named))
    };
    // Equal unknowns (kept dimensions) would cancel, but nothing says that they are equal.
    let (Some((n, mut named)), Some((m, others))) = (split(from), split(to)) else { return Quotient::Unknown };
    for e in others {
        match named.iter().position(|other| *other == e) {
            Some(at) => drop(named.swap_remove(at)),
            None => return Quotient::Unknown,
        }
    }
    let Some(scaled) = (match named.as_slice() {
        [] => Some(Expr::number(n)),
        [one] => one.mul(&Expr::number(n)),
        _ => None,
    }) else {
        return Quotient::Unknown;
    };
    match (scaled.exact_div(m), scaled.as_number()) {
        (Some(e), _) => Quotient::Known(e),
        (None, Some(_)) if m != 0 => Quotient::Impossible,
        _ => Quotient::Unknown,
    }
}
