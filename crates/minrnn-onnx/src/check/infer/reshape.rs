//! Reshape, with products of named dimensions.

use super::layout::product;
use super::{Call, Found, MAX_CONTENT};
use crate::check::types::{Extent, Info, extent_text, fault};
use crate::check::{Expr, Rule};

/// To a matrix: the axes before `axis` and those from it on. `axis` may be the rank.
pub(in crate::check) fn flatten(call: &Call) -> Found {
    let Some(dims) = call.dims(0) else {
        return call.shaped(vec![None, None]);
    };
    let (given, rank) = (call.int("axis", 1), dims.len() as i64);
    let at = if given < 0 {
        given.saturating_add(rank)
    } else {
        given
    };
    match usize::try_from(at).ok().filter(|at| *at <= dims.len()) {
        Some(at) => call.shaped(vec![product(&dims[..at]), product(&dims[at..])]),
        None => fault(
            Rule::Shape,
            format!("there is no axis {given} in rank {rank}"),
        ),
    }
}

pub(in crate::check) fn reshape(call: &Call) -> Found {
    call.rank(1, 1)?;
    let Some(x) = call.get(0) else {
        return call.unknown();
    };
    let Some(target) = call.content(1) else {
        let rank = call.dims(1).and_then(|d| d.first()?.as_ref()?.as_number());
        let rank = rank
            .and_then(|r| usize::try_from(r).ok())
            .filter(|r| *r <= MAX_CONTENT);
        return Ok(vec![Info::new(x.ty.dtype, rank.map(|r| vec![None; r]))]);
    };
    let zero_is_zero = call.flag("allowzero", false)?;
    let has = |n: i64| target.iter().any(|t| t.as_number() == Some(n));
    if zero_is_zero && has(0) && has(-1) {
        return fault(
            Rule::Shape,
            "with allowzero, 0 and -1 cannot stand together",
        );
    }
    let mut dims: Vec<Extent> = vec![];
    let mut rest = None;
    for (i, t) in target.iter().enumerate() {
        match t.as_number() {
            Some(0) if !zero_is_zero => match &x.ty.dims {
                Some(d) if i >= d.len() => {
                    return fault(
                        Rule::Shape,
                        format!("0 in dimension {i} of rank {} keeps nothing", d.len()),
                    );
                }
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
        let others = dims
            .iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != rest)
            .map(|(_, d)| d.clone())
            .collect::<Vec<_>>();
        match (rest, quotient(from, &others)) {
            (Some(i), Quotient::Known(e)) => dims[i] = Some(e),
            (None, Quotient::Known(e)) if e.as_number().is_some_and(|n| n != 1) => {
                return fault(Rule::Shape, counts(from, &others));
            }
            (_, Quotient::Impossible) => return fault(Rule::Shape, counts(from, &others)),
            _ => {}
        }
    }
    let content = x.content.clone().filter(|_| dims.len() <= 1);
    Ok(vec![Info {
        content,
        ..Info::new(x.ty.dtype, Some(dims))
    }])
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
    let (Some((n, mut named)), Some((m, others))) = (split(from), split(to)) else {
        return Quotient::Unknown;
    };
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
