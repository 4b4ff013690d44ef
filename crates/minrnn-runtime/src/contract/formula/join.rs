//! Concat in closed form: parts that are one function of the index, with padding before the first step or after the last.

use super::closed::{Closed, What};
use super::place::Place;
use super::term::{Kind, Term};

/// Parts that are tried for the function.
const TRIED: usize = 2;

/// A part of terms, and the index of its first entry.
struct Part<'a> {
    at: i64,
    dims: &'a [usize],
    term: &'a Term,
}

/// `parts` one behind the other along `axis`, of a sequence of `end` steps.
pub(super) fn join(parts: &[Closed], axis: usize, end: i64) -> Result<Closed, String> {
    let mut dims = parts.first().ok_or("joins nothing")?.dims.clone();
    *dims.get_mut(axis).ok_or("an axis that is not there")? = 0;
    for part in parts {
        let more = part.dims.get(axis).copied().unwrap_or(0);
        dims[axis] = dims[axis].saturating_add(more);
    }
    let full: Vec<&Closed> = parts.iter().filter(|p| !p.dims.contains(&0)).collect();
    if let [one] = full[..] {
        return Ok(one.clone());
    }
    let is_term = |p: &&&Closed| matches!(p.what, What::Term(_));
    let before = full.iter().take_while(|p| !is_term(p)).count();
    let inner = full[before..].iter().take_while(is_term).count();
    if inner == 0 {
        let same = full.windows(2).all(|w| w[0].what == w[1].what);
        let what = full.first().filter(|_| same).map(|p| p.what.clone());
        let what = what.unwrap_or(What::Other);
        return Ok(Closed { dims, what });
    }
    if full[before + inner..].iter().any(|p| is_term(&p)) {
        return Err("joins steps with padding between them".into());
    }
    let (front, body, back) = (
        &full[..before],
        &full[before..before + inner],
        &full[before + inner..],
    );
    let mut at = length(front, axis).ok_or("joins too much")?;
    let first = at;
    let mut terms = vec![];
    for part in body {
        let What::Term(term) = &part.what else {
            continue;
        };
        terms.push(Part {
            at,
            dims: &part.dims,
            term,
        });
        at = length(&[*part], axis)
            .and_then(|n| at.checked_add(n))
            .ok_or("joins too much")?;
    }
    let padded = !front.is_empty() || !back.is_empty();
    let term = function(&terms, axis, &dims, padded);
    let term = term.ok_or("joins steps that do not follow one another")?;
    let term = if front.is_empty() {
        term
    } else {
        begun(&term, front, axis, first, &dims)?
    };
    if !back.is_empty() {
        beyond(&term, axis, at, &dims, end)?;
    }
    let joined = Closed::term(dims, &term);
    joined.ok_or_else(|| "steps out of reach".into())
}

fn length(parts: &[&Closed], axis: usize) -> Option<i64> {
    parts.iter().try_fold(0i64, |n, p| {
        n.checked_add(i64::try_from(*p.dims.get(axis)?).ok()?)
    })
}

/// The term that all parts are pieces of.
fn function(parts: &[Part], axis: usize, dims: &[usize], padded: bool) -> Option<Term> {
    let first = parts.first()?;
    if parts.iter().any(|p| p.term.kind != first.term.kind) {
        return None;
    }
    if let ([part], true) = (parts, padded && first.dims.get(axis) == Some(&1)) {
        // Of one entry, any step along the axis is right; those that follow it are as long as it is.
        let each = part.term.middle.until(&part.term.to);
        let each = each
            .filter(|n| *n > 0)
            .or_else(|| part.term.from.until(&part.term.to));
        let each = each.filter(|n| *n > 0).unwrap_or(1);
        let run = |p: &Place| p.with_step(axis, each)?.cut(axis, -part.at, 1);
        return Some(Term {
            from: run(&part.term.from)?,
            middle: run(&part.term.middle)?,
            to: run(&part.term.to)?,
            ..part.term.clone()
        });
    }
    let place = |get: fn(&Term) -> &Place| {
        let places: Vec<(&Part, &Place)> = parts.iter().map(|p| (p, get(p.term))).collect();
        one_place(&places, axis, dims)
    };
    Some(Term {
        kind: first.term.kind,
        row: place(|t| &t.row)?,
        channel: place(|t| &t.channel)?,
        from: place(|t| &t.from)?,
        middle: place(|t| &t.middle)?,
        to: place(|t| &t.to)?,
    })
}

/// The place that all are pieces of: tried are those that go on as one of the long parts does, or as the first two.
fn one_place(parts: &[(&Part, &Place)], axis: usize, dims: &[usize]) -> Option<Place> {
    let long = |(part, _): &&(&Part, &Place)| part.dims.get(axis).is_some_and(|n| *n > 1);
    let mut tried: Vec<Place> = vec![];
    for (part, place) in parts.iter().filter(long).take(TRIED) {
        tried.extend(place.cut(axis, part.at.checked_neg()?, 1));
    }
    if let [(p, x), (q, y), ..] = parts
        && p.dims.get(axis) == Some(&1)
        && q.at.checked_sub(p.at) == Some(1)
    {
        let step = y.base.checked_sub(x.base)?;
        tried.extend(x.with_step(axis, step)?.cut(axis, p.at.checked_neg()?, 1));
    }
    tried.extend(
        parts
            .first()
            .filter(|_| parts.len() == 1)
            .map(|(_, p)| (*p).clone()),
    );
    let floors = [false, true];
    let all = tried.iter().flat_map(|p| {
        floors.map(|f| Place {
            floor: p.floor || f,
            ..p.clone()
        })
    });
    let fits = |whole: &Place| {
        let piece = |part: &Part| whole.cut(axis, part.at, 1)?.settled(part.dims);
        let same = |(part, place): &(&Part, &Place)| piece(part).as_ref() == Some(*place);
        parts.iter().all(same)
    };
    let mut all = all;
    all.find(|p| fits(p) && p.settled(dims).is_some())
}

/// What stands before the first step is the product of no step, 1, or the end of none, 0.
fn begun(
    term: &Term,
    front: &[&Closed],
    axis: usize,
    len: i64,
    dims: &[usize],
) -> Result<Term, String> {
    let neutral = match term.kind {
        Kind::Product => 1.0,
        Kind::End => 0.0,
        _ => return Err("values before the first step".into()),
    };
    let right = front.iter().all(|p| p.what == What::Uniform(neutral));
    let mut region = dims.to_vec();
    region[axis] = usize::try_from(len).map_err(|_| "joins too much")?;
    let none = |p: &Place| p.range(&region).is_some_and(|(_, most)| most <= 0);
    if !right || ![&term.from, &term.middle, &term.to].into_iter().all(none) {
        return Err("values before the first step that are not those of no step".into());
    }
    let floor = |p: &Place| Place {
        floor: true,
        ..p.clone()
    };
    Ok(Term {
        from: floor(&term.from),
        middle: floor(&term.middle),
        to: floor(&term.to),
        ..term.clone()
    })
}

/// What stands from entry `at` on is after the last step.
fn beyond(term: &Term, axis: usize, at: i64, dims: &[usize], end: i64) -> Result<(), String> {
    let mut region = dims.to_vec();
    let len = i64::try_from(dims[axis])
        .ok()
        .and_then(|n| n.checked_sub(at));
    region[axis] = len
        .and_then(|n| usize::try_from(n).ok())
        .ok_or("joins too much")?;
    let after = term.to.cut(axis, at, 1).and_then(|p| p.range(&region));
    if after.is_some_and(|(least, _)| least > end) {
        return Ok(());
    }
    Err("padding where steps should be".into())
}
