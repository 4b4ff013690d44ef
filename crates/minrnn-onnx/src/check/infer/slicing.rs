//! Operators that take values apart and put them together.

use super::{Call, Found, MAX_CONTENT, axes, axis};
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};

pub(in crate::check) fn concat(call: &Call) -> Found {
    let all: Option<Vec<&Info>> = call.inputs.iter().map(Option::as_ref).collect();
    let dims = all.as_ref().and_then(|all| {
        all.iter()
            .map(|i| i.ty.dims.as_ref())
            .collect::<Option<Vec<_>>>()
    });
    let (Some(all), Some(dims)) = (all, dims) else {
        return call.unknown();
    };
    let rank = dims.first().map_or(0, |d| d.len());
    let along = axis(call.int("axis", 0), rank)?;
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
    let mut info = Info::new(call.out[0], Some(joined));
    if rank == 1 {
        let parts: Option<Vec<Vec<Expr>>> = all.iter().map(|i| i.content.clone()).collect();
        info.content = parts.map(|p| p.concat()).filter(|c| c.len() <= MAX_CONTENT);
    }
    Ok(vec![info])
}

pub(in crate::check) fn split(call: &Call) -> Found {
    let count = call.node.outputs.len();
    let asked = parts_asked(call, count)?;
    let sizes = call.numbers(1)?;
    let Some(x) = call.get(0) else {
        return call.unknown();
    };
    let Some(dims) = &x.ty.dims else {
        return call.unknown();
    };
    let along = axis(call.int("axis", 0), dims.len())?;
    let part = |extent: Extent| {
        let mut dims = dims.clone();
        dims[along] = extent;
        Info::new(x.ty.dtype, Some(dims))
    };
    let whole = dims[along].as_ref().and_then(Expr::as_number);
    if call.given(1) {
        let Some(sizes) = sizes else {
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
        (None, Some(n)) => {
            // From opset 18 on the last part may be smaller.
            let size = n / parts + 1;
            let last = n - size.saturating_mul(parts - 1);
            if !asked || last < 0 {
                return fault(
                    Rule::Shape,
                    format!("{n} entries cannot be cut into {count} equal parts"),
                );
            }
            let extent = |i: usize| Some(Expr::number(if i + 1 == count { last } else { size }));
            Ok((0..count).map(|i| part(extent(i))).collect())
        }
        (each, _) => Ok(vec![part(each); count]),
    }
}

/// From opset 18 on, either `num_outputs` or the input `split` says how: whether it is the former.
fn parts_asked(call: &Call, count: usize) -> Result<bool, Fault> {
    let asked = call.node.int("num_outputs");
    match asked {
        _ if call.opset < 18 => Ok(false),
        Some(_) if call.given(1) => fault(
            Rule::Attribute,
            "both num_outputs and the input split are there, wanted one of them",
        ),
        None if !call.given(1) => fault(
            Rule::Attribute,
            "neither num_outputs nor the input split is there, which opset 18 asks for",
        ),
        Some(n) if usize::try_from(n) != Ok(count) => fault(
            Rule::Attribute,
            format!("num_outputs is {n}, the node has {count} outputs"),
        ),
        asked => Ok(asked.is_some()),
    }
}

pub(in crate::check) fn slice(call: &Call) -> Found {
    let Some(x) = call.get(0) else {
        return call.unknown();
    };
    (1..call.inputs.len()).try_for_each(|i| call.rank(i, 1))?;
    let Some(dims) = &x.ty.dims else {
        return call.unknown();
    };
    let (starts, ends) = (call.content(1), call.content(2));
    let count = starts.or(ends).map(<[_]>::len);
    let along = match (call.given(3), count) {
        (true, _) => call.numbers(3)?,
        (false, Some(n)) => Some((0..n as i64).collect()),
        (false, None) => None,
    };
    let Some(along) = along else {
        return call.shaped(vec![None; dims.len()]);
    };
    let steps = if call.given(4) {
        call.numbers(4)?
    } else {
        Some(vec![1; along.len()])
    };
    if steps.iter().flatten().any(|s| *s == 0) {
        return fault(Rule::Shape, "a step is 0");
    }
    let lengths = [
        starts.map(<[_]>::len),
        ends.map(<[_]>::len),
        steps.as_ref().map(Vec::len),
    ];
    if lengths.into_iter().flatten().any(|n| n != along.len()) {
        return fault(
            Rule::Shape,
            format!(
                "starts, ends, axes and steps differ in length ({} axes)",
                along.len()
            ),
        );
    }
    let mut sliced = dims.clone();
    let mut bounds = None;
    for (i, along) in axes(&along, dims.len())?.into_iter().enumerate() {
        let whole_step = steps.as_ref().is_some_and(|s| s[i] == 1);
        let range = starts
            .zip(ends)
            .zip(dims[along].as_ref())
            .filter(|_| whole_step);
        let range = range.and_then(|((s, e), d)| Some((bound(&s[i], d)?, bound(&e[i], d)?)));
        sliced[along] = match (&steps, whole_step) {
            (Some(steps), false) => starts.zip(ends).and_then(|(s, e)| {
                let numbers = [s[i].as_number()?, e[i].as_number()?];
                stepped(dims[along].as_ref()?.as_number()?, numbers, steps[i])
            }),
            _ => range.as_ref().and_then(|(s, e)| length(s, e)),
        };
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

/// Entries from start to end in steps other than 1. Backwards, a bound may lie before the first entry.
fn stepped(size: i64, bounds: [i64; 2], step: i64) -> Extent {
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let [start, end] = bounds
        .map(|n| if n < 0 { n.saturating_add(size) } else { n })
        .map(|n| n.clamp(low, high.max(low)));
    let way = (end - start).checked_mul(step.signum())?.max(0);
    let count = way.unsigned_abs().div_ceil(step.unsigned_abs());
    i64::try_from(count).ok().map(Expr::number)
}
