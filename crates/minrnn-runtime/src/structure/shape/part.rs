//! Operators that take values apart, pick some, and put them together.

use super::{Call, Fact, Found, axis};

pub(super) fn concat(call: &Call) -> Found {
    let first = call.get(0)?;
    let rank = first.dims.len();
    let along = axis(call.int("axis").ok_or("has no axis")?, rank)?;
    let mut dims = first.dims.clone();
    let mut ints = first.ints.clone().filter(|_| rank == 1);
    for at in 1..call.inputs.len() {
        let next = call.get(at)?;
        let fits = |(i, d): (usize, &usize)| i == along || next.dims[i] == *d;
        if next.elem != first.elem
            || next.dims.len() != rank
            || !first.dims.iter().enumerate().all(fits)
        {
            return Err(format!("{:?} does not fit to {:?}", next.dims, first.dims));
        }
        dims[along] = dims[along].saturating_add(next.dims[along]);
        ints = ints.zip(next.ints.as_ref()).map(|(mut all, more)| {
            all.extend(more);
            all.truncate(super::MAX_CONTENT + 1);
            all
        });
    }
    Ok(vec![Fact::new(first.elem, dims).with(ints)])
}

pub(super) fn slice(call: &Call) -> Found {
    let x = call.get(0)?;
    let (starts, ends) = (call.ints(1)?, call.ints(2)?);
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let along = match call.option(3) {
        Some(_) => call.ints(3)?,
        None => &all,
    };
    let ones = vec![1; starts.len()];
    let steps = match call.option(4) {
        Some(_) => call.ints(4)?,
        None => &ones,
    };
    if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
        return Err("has starts, ends, axes or steps of different lengths".into());
    }
    super::axes(along, x.dims.len())?;
    let mut dims = x.dims.clone();
    let mut ints = x.ints.clone().filter(|_| x.dims.len() == 1);
    for (i, a) in along.iter().enumerate() {
        let a = axis(*a, x.dims.len())?;
        let size = x.dims[a] as i64;
        // Steps backwards are none of the exporter's, and the engine runs them otherwise than it sizes them.
        let step = usize::try_from(steps[i]).ok().filter(|s| *s > 0);
        let step = step.ok_or_else(|| format!("has a step of {}", steps[i]))?;
        let clamp = |n: i64| {
            let n = if n < 0 { n.saturating_add(size) } else { n };
            n.clamp(0, size) as usize
        };
        let (from, to) = (clamp(starts[i]), clamp(ends[i]));
        dims[a] = to.saturating_sub(from).div_ceil(step);
        ints = ints.map(|v| v.into_iter().take(to).skip(from).step_by(step).collect());
    }
    Ok(vec![Fact::new(x.elem, dims).with(ints)])
}

pub(super) fn split(call: &Call) -> Found {
    let x = call.get(0)?;
    let along = call.axis(0, x.dims.len())?;
    let (size, count) = (x.dims[along], call.node.output.len());
    let asked = call.int("num_outputs");
    if asked.is_some_and(|n| usize::try_from(n) != Ok(count))
        || (asked.is_some() && call.opset < 18)
    {
        return Err(format!("num_outputs does not fit {count} outputs"));
    }
    let parts: Vec<usize> = match call.option(1) {
        Some(_) => {
            let sizes = call.ints(1)?.iter().map(|n| usize::try_from(*n).ok());
            let sizes: Option<Vec<usize>> = sizes.collect();
            sizes.ok_or("has a part of a negative length")?
        }
        None if count > 0 && size.is_multiple_of(count) => vec![size / count; count],
        None => return Err(format!("cannot cut {size} into {count} equal parts")),
    };
    let sum = parts.iter().fold(0usize, |n, p| n.saturating_add(*p));
    if parts.len() != count || sum != size || (asked.is_some() && call.option(1).is_some()) {
        return Err(format!(
            "parts {parts:?} do not fit {count} outputs of {size}"
        ));
    }
    let part = |n: usize| {
        let mut dims = x.dims.clone();
        dims[along] = n;
        Fact::new(x.elem, dims)
    };
    Ok(parts.into_iter().map(part).collect())
}

pub(super) fn gather(call: &Call) -> Found {
    let (x, index) = (call.get(0)?, call.get(1)?);
    let along = call.axis(0, x.dims.len())?;
    if !index.is_index() {
        return Err("picks by what are no integers".into());
    }
    let size = x.dims[along] as i64;
    let inside = |i: &i64| (-size..size).contains(i);
    if let Some(known) = &index.ints
        && !known.iter().all(inside)
    {
        return Err(format!("picks {known:?} of {size}"));
    }
    let dims = [&x.dims[..along], &index.dims, &x.dims[along + 1..]].concat();
    if dims.len() > 8 {
        return Err(format!("makes {} dimensions", dims.len()));
    }
    let mut ints = None;
    if let (Some(from), Some(at), 1) = (&x.ints, &index.ints, x.dims.len()) {
        let pick = |i: &i64| from.get(usize::try_from(if *i < 0 { i + size } else { *i }).ok()?);
        ints = at.iter().map(|i| pick(i).copied()).collect();
    }
    Ok(vec![Fact::new(x.elem, dims).with(ints)])
}

pub(super) fn gather_elements(call: &Call) -> Found {
    let (x, index) = (call.get(0)?, call.get(1)?);
    let along = call.axis(0, x.dims.len())?;
    let fits = |(i, d): (usize, &usize)| i == along || *d <= x.dims[i];
    if !index.is_index()
        || index.dims.len() != x.dims.len()
        || !index.dims.iter().enumerate().all(fits)
    {
        return Err(format!("picks {:?} of {:?}", index.dims, x.dims));
    }
    call.one(x.elem, index.dims.clone())
}
