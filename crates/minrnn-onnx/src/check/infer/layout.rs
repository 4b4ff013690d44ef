//! Operators that move, repeat or surround values.

use super::elementwise::broadcast;
use super::{Call, Found, MAX_CONTENT, axes, axis};
use crate::check::types::{Extent, Fault, Info, fault};
use crate::check::{Expr, Rule};

pub(in crate::check) fn shape(call: &Call) -> Found {
    let dims = call.dims(0).map(|d| {
        // Both bounds are clamped, negative ones count from the end.
        let rank = d.len() as i64;
        let bound =
            |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
        let (start, end) = (bound(call.int("start", 0)), bound(call.int("end", rank)));
        &d[start..end.max(start)]
    });
    let count = dims.map(|d| Expr::number(d.len() as i64));
    let mut info = Info::new(call.out[0], Some(vec![count]));
    info.content = dims
        .filter(|d| d.len() <= MAX_CONTENT)
        .and_then(|d| d.iter().cloned().collect());
    Ok(vec![info])
}

pub(in crate::check) fn size(call: &Call) -> Found {
    let mut info = Info::new(call.out[0], Some(vec![]));
    info.content = call.dims(0).and_then(product).map(|n| vec![n]);
    Ok(vec![info])
}

/// Number of entries, if it can be written down.
pub(super) fn product(dims: &[Extent]) -> Option<Expr> {
    dims.iter()
        .try_fold(Expr::number(1), |n, d| n.mul(d.as_ref()?))
}

pub(in crate::check) fn squeeze(call: &Call) -> Found {
    let Some(x) = call.get(0) else {
        return call.unknown();
    };
    let given = call.numbers(1)?;
    let Some(dims) = &x.ty.dims else {
        return call.unknown();
    };
    let gone = match given {
        Some(given) => axes(&given, dims.len())?,
        None if call.given(1) => return call.unknown(),
        None => {
            let numbers: Option<Vec<i64>> = dims
                .iter()
                .map(|d| d.as_ref().and_then(Expr::as_number))
                .collect();
            let Some(numbers) = numbers else {
                return call.unknown();
            };
            (0..dims.len()).filter(|i| numbers[*i] == 1).collect()
        }
    };
    for a in &gone {
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
        .filter(|(i, _)| !gone.contains(i))
        .map(|(_, d)| d.clone())
        .collect();
    Ok(vec![Info {
        content: x.content.clone(),
        ..Info::new(x.ty.dtype, Some(kept))
    }])
}

pub(in crate::check) fn unsqueeze(call: &Call) -> Found {
    let (Some(x), Some(given)) = (call.get(0), call.numbers(1)?) else {
        return call.unknown();
    };
    let Some(dims) = &x.ty.dims else {
        return call.unknown();
    };
    let rank = dims.len() + given.len();
    let at = axes(&given, rank)?;
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

pub(in crate::check) fn transpose(call: &Call) -> Found {
    let Some(x) = call.get(0) else {
        return call.unknown();
    };
    let Some(dims) = &x.ty.dims else {
        return call.unknown();
    };
    let backwards: Vec<i64> = (0..dims.len() as i64).rev().collect();
    let perm = call.node.ints("perm").unwrap_or(&backwards);
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..dims.len() as i64) {
        return fault(
            Rule::Shape,
            format!(
                "perm {perm:?} is no order of the axes of rank {}",
                dims.len()
            ),
        );
    }
    let moved = perm.iter().map(|p| dims[*p as usize].clone()).collect();
    Ok(vec![Info {
        content: x.content.clone(),
        ..Info::new(x.ty.dtype, Some(moved))
    }])
}

pub(in crate::check) fn expand(call: &Call) -> Found {
    call.rank(1, 1)?;
    let (Some(dims), Some(target)) = (call.dims(0), call.content(1)) else {
        // The length of the shape says the rank.
        let length = call.dims(1).and_then(|d| d.first()?.as_ref()?.as_number());
        let length = length.and_then(|n| usize::try_from(n).ok());
        return match call.dims(0).zip(length.filter(|n| *n <= MAX_CONTENT)) {
            Some((dims, n)) => call.shaped(vec![None; n.max(dims.len())]),
            None => call.unknown(),
        };
    };
    negative(target)?;
    let target: Vec<Extent> = target.iter().cloned().map(Some).collect();
    let dims = broadcast(dims, &target)?;
    let mut found = call.shaped(dims)?;
    if let (Some([one]), [Some(count)]) = (
        call.content(0),
        found[0].ty.dims.as_deref().unwrap_or_default(),
    ) {
        let count = count.as_number().and_then(|n| usize::try_from(n).ok());
        found[0].content = count
            .filter(|n| *n <= MAX_CONTENT)
            .map(|n| vec![one.clone(); n]);
    }
    Ok(found)
}

/// Entries of a shape or of counts must not be negative.
pub(super) fn negative(entries: &[Expr]) -> Result<(), Fault> {
    let bad = entries.iter().filter_map(Expr::as_number).find(|n| *n < 0);
    bad.map_or(Ok(()), |n| fault(Rule::Shape, format!("{n} is negative")))
}

pub(in crate::check) fn tile(call: &Call) -> Found {
    call.rank(1, 1)?;
    let (Some(dims), Some(repeats)) = (call.dims(0), call.content(1)) else {
        return call.unknown();
    };
    negative(repeats)?;
    if repeats.len() != dims.len() {
        return fault(
            Rule::Shape,
            format!("{} repeats for rank {}", repeats.len(), dims.len()),
        );
    }
    let repeated = dims
        .iter()
        .zip(repeats)
        .map(|(d, r)| d.as_ref()?.mul(r))
        .collect();
    call.shaped(repeated)
}

pub(in crate::check) fn pad(call: &Call) -> Found {
    let modes: &[&str] = if call.opset >= 19 {
        &["constant", "reflect", "edge", "wrap"]
    } else {
        &["constant", "reflect", "edge"]
    };
    call.word("mode", modes)?;
    call.rank(1, 1)?;
    let (Some(dims), Some(pads)) = (call.dims(0), call.content(1)) else {
        call.numbers(3)?;
        return call.unknown();
    };
    let along = match call.numbers(3)? {
        Some(given) => axes(&given, dims.len())?,
        None if call.given(3) => return call.shaped(vec![None; dims.len()]),
        None => (0..dims.len()).collect(),
    };
    if pads.len() != 2 * along.len() {
        return fault(
            Rule::Shape,
            format!(
                "{} pads for rank {} and {} axes, wanted two for each axis",
                pads.len(),
                dims.len(),
                along.len()
            ),
        );
    }
    let mut padded = dims.to_vec();
    for (i, a) in along.iter().enumerate() {
        let (before, after) = (&pads[i], &pads[along.len() + i]);
        padded[*a] = dims[*a].as_ref().and_then(|d| d.add(before)?.add(after));
        let number = padded[*a].as_ref().and_then(Expr::as_number);
        if let Some(n) = number.filter(|n| *n < 0) {
            return fault(Rule::Shape, format!("pads leave {n} entries in axis {a}"));
        }
    }
    call.shaped(padded)
}

/// The attribute `axis` of the first input, if its rank is known.
pub(super) fn one_axis(call: &Call, default: i64) -> Result<Option<usize>, Fault> {
    let given = call.int("axis", default);
    call.dims(0).map(|d| axis(given, d.len())).transpose()
}
