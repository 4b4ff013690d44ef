//! Operators that take values apart and put them together.

use super::{Inputs, MAX_CONTENT, axis, get, integers, numbers, only_type};
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};
use crate::ir::Node;

pub(in crate::check) fn concat(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let mut dtype = None;
    for (i, info) in inputs.iter().enumerate() {
        let this = info.as_ref().and_then(|i| i.ty.dtype);
        match (dtype, this) {
            (Some(a), Some(b)) if a != b => {
                return fault(
                    Rule::Type,
                    format!("input {i} is of {b}, the first is of {a}"),
                );
            }
            _ => dtype = dtype.or(this),
        }
    }
    let all: Option<Vec<&Info>> = inputs.iter().map(Option::as_ref).collect();
    let dims = all.as_ref().and_then(|all| {
        all.iter()
            .map(|i| i.ty.dims.as_ref())
            .collect::<Option<Vec<_>>>()
    });
    let (Some(all), Some(dims)) = (all, dims) else {
        return only_type(dtype);
    };
    let rank = dims.first().map_or(0, |d| d.len());
    let along = axis(node.int("axis").unwrap_or_default(), rank)?;
    let mut joined = dims[0].clone();
    for (i, d) in dims.iter().enumerate().skip(1) {
        if d.len() != rank {
            return fault(
                Rule::Shape,
                format!("input {i} has rank {}, the first has {rank}", d.len()),
            );
        }
        for k in 0..rank {
            if k == along {
                joined[k] = joined[k]
                    .as_ref()
                    .zip(d[k].as_ref())
                    .and_then(|(a, b)| a.add(b));
                continue;
            }
            joined[k] = match same(&joined[k], &d[k]) {
                Some(extent) => extent,
                None => {
                    let detail = format!(
                        "input {i} has {} in dimension {k}, those before {}",
                        extent_text(&d[k]),
                        extent_text(&joined[k])
                    );
                    return fault(Rule::Shape, detail);
                }
            };
        }
    }
    let mut info = Info::new(dtype, Some(joined));
    if rank == 1 {
        let parts: Option<Vec<Vec<Expr>>> = all.iter().map(|i| i.content.clone()).collect();
        info.content = parts.map(|p| p.concat()).filter(|c| c.len() <= MAX_CONTENT);
    }
    Ok(vec![info])
}

pub(in crate::check) fn split(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let count = node.outputs.len();
    let Some(x) = get(inputs, 0) else {
        return Ok(vec![Info::default(); count]);
    };
    let Some(dims) = &x.ty.dims else {
        return Ok(vec![Info::new(x.ty.dtype, None); count]);
    };
    let along = axis(node.int("axis").unwrap_or(0), dims.len())?;
    let part = |extent: Extent| {
        let mut dims = dims.clone();
        dims[along] = extent;
        Info::new(x.ty.dtype, Some(dims))
    };
    let whole = dims[along].as_ref().and_then(Expr::as_number);
    if node.inputs.len() > 1 {
        let Some(sizes) = numbers(inputs, 1)? else {
            return Ok(vec![part(None); count]);
        };
        let sum = sizes.iter().try_fold(0i64, |sum, s| sum.checked_add(*s));
        if sizes.len() != count || sizes.iter().any(|s| *s < 0) || (whole.is_some() && whole != sum)
        {
            return fault(
                Rule::Shape,
                format!(
                    "parts {sizes:?} do not fit {} outputs of {}",
                    count,
                    extent_text(&dims[along])
                ),
            );
        }
        return Ok(sizes
            .into_iter()
            .map(|s| part(Some(Expr::number(s))))
            .collect());
    }
    let parts = i64::try_from(count).unwrap_or(i64::MAX);
    let each = dims[along].as_ref().and_then(|d| d.exact_div(parts));
    match (each, whole) {
        (None, Some(n)) => fault(
            Rule::Shape,
            format!("{n} entries cannot be cut into {count} equal parts"),
        ),
        (each, _) => Ok(vec![part(each); count]),
    }
}

pub(in crate::check) fn slice(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let Some(x) = get(inputs, 0) else {
        return only_type(None);
    };
    (1..inputs.len())
        .filter(|i| inputs[*i].is_some())
        .try_for_each(|i| integers(inputs, i))?;
    let Some(dims) = &x.ty.dims else {
        return only_type(x.ty.dtype);
    };
    let content = |i: usize| get(inputs, i).and_then(|info| info.content.clone());
    let (starts, ends) = (content(1), content(2));
    let count = starts.as_ref().or(ends.as_ref()).map(Vec::len);
    let axes = match (inputs.len() > 3, count) {
        (true, _) => numbers(inputs, 3)?,
        (false, Some(n)) => Some((0..n as i64).collect()),
        (false, None) => None,
    };
    let unknown = || Info::new(x.ty.dtype, Some(vec![None; dims.len()]));
    let Some(axes) = axes else {
        return Ok(vec![unknown()]);
    };
    let steps = if inputs.len() > 4 {
        numbers(inputs, 4)?
    } else {
        Some(vec![1; axes.len()])
    };
    let lengths = [
        starts.as_ref().map(Vec::len),
        ends.as_ref().map(Vec::len),
        steps.as_ref().map(Vec::len),
    ];
    if lengths.into_iter().flatten().any(|n| n != axes.len()) {
        return fault(
            Rule::Shape,
            format!(
                "starts, ends, axes and steps differ in length ({} axes)",
                axes.len()
            ),
        );
    }
    let mut sliced = dims.clone();
    let mut bounds = None;
    for (i, a) in axes.iter().enumerate() {
        let along = axis(*a, dims.len())?;
        let whole_step = steps.as_ref().is_some_and(|s| s[i] == 1);
        let range = starts
            .as_ref()
            .zip(ends.as_ref())
            .zip(dims[along].as_ref())
            .filter(|_| whole_step);
        let range = range.and_then(|((s, e), d)| Some((bound(&s[i], d)?, bound(&e[i], d)?)));
        sliced[along] = range.as_ref().and_then(|(s, e)| length(s, e));
        bounds = range;
    }
    let mut info = Info::new(x.ty.dtype, Some(sliced));
    if let (Some(content), Some((s, e)), 1) = (&x.content, bounds, dims.len()) {
        let index = |e: &Expr| e.as_number().and_then(|n| usize::try_from(n).ok());
        info.content = index(&s)
            .zip(index(&e))
            .map(|(s, e)| content.get(s..e).map(<[_]>::to_vec).unwrap_or_default());
    }
    Ok(vec![info])
}

/// A start or end inside of `0..=size`; `None` if it cannot be told.
fn bound(given: &Expr, size: &Expr) -> Option<Expr> {
    let zero = Expr::number(0);
    let at = match given.as_number() {
        Some(n) if n < 0 => {
            // `i64::MIN` and the like mean "from the begin".
            let from_end = size.add(given).unwrap_or_else(|| zero.clone());
            if from_end.at_most(&zero) {
                zero.clone()
            } else {
                from_end
            }
        }
        _ => given.clone(),
    };
    match (at.at_most(size), zero.at_most(&at)) {
        (true, true) => Some(at),
        (false, true) if size.at_most(&at) => Some(size.clone()),
        // Beyond any size that a file could mean: "to the end".
        (false, true) if at.as_number().is_some_and(|n| n >= i64::from(i32::MAX)) => {
            Some(size.clone())
        }
        _ => None,
    }
}

fn length(start: &Expr, end: &Expr) -> Extent {
    let zero = Expr::number(0);
    let difference = end.sub(start)?;
    if zero.at_most(&difference) {
        return Some(difference);
    }
    difference.at_most(&zero).then_some(zero)
}
