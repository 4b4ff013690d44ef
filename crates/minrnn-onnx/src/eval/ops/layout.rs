//! Operators that move or repeat values.

use super::{
    Array, Call, Done, Fault, Kind, Op, axes, broadcast, offsets, op, repeat, smooth, strides,
};

pub(super) const OPS: &[Op] = &[
    smooth("Identity", 7, |c| Ok(vec![c.x(0)?.clone()])),
    smooth("Reshape", 7, reshape),
    smooth("Flatten", 7, flatten),
    smooth("Squeeze", 7, squeeze),
    smooth("Unsqueeze", 7, unsqueeze),
    smooth("Transpose", 7, transpose),
    smooth("Expand", 8, expand),
    smooth("Tile", 7, tile),
    op("Shape", 7, Kind::Shape, shape),
    op("Size", 7, Kind::Shape, |c| {
        Ok(vec![Array::of_i64s(
            vec![],
            std::iter::once(c.x(0)?.len() as i64),
        )])
    }),
];

/// In another shape of as many elements.
pub(super) fn shaped(x: &Array, dims: Vec<usize>) -> Result<Array, Fault> {
    match crate::eval::array::count(&dims) == Some(x.len()) {
        true => Ok(x.shaped(dims)),
        false => Err(Fault::Shape(format!("{:?} as {dims:?}", x.dims()))),
    }
}

fn reshape(call: &Call) -> Done {
    let (x, target) = (call.x(0)?, call.i64s(1)?);
    let zero = call.flag("allowzero", false)?;
    let wrong = || Fault::Shape(format!("{:?} as {target:?}", x.dims()));
    let mut dims = vec![];
    let mut rest = None;
    for (i, d) in target.iter().enumerate() {
        dims.push(match *d {
            0 if !zero => *x.dims().get(i).ok_or_else(wrong)?,
            -1 if rest.is_none() => {
                rest = Some(i);
                1
            }
            d => usize::try_from(d).map_err(|_| wrong())?,
        });
    }
    if let Some(rest) = rest {
        let known = crate::eval::array::count(&dims).ok_or_else(wrong)?;
        if known == 0 || !x.len().is_multiple_of(known) {
            return Err(wrong());
        }
        dims[rest] = x.len() / known;
    }
    Ok(vec![shaped(x, dims)?])
}

fn flatten(call: &Call) -> Done {
    let x = call.x(0)?;
    let rank = x.dims().len() as i64;
    let at = call.int("axis", 1)?;
    let at = if at < 0 { at.saturating_add(rank) } else { at };
    let Some(at) = usize::try_from(at).ok().filter(|a| *a <= x.dims().len()) else {
        return Err(Fault::attribute("axis", format!("{at} of {rank} axes")));
    };
    let (a, b) = x.dims().split_at(at);
    Ok(vec![shaped(
        x,
        vec![a.iter().product(), b.iter().product()],
    )?])
}

/// Axes: an attribute before that opset, an input from it on.
fn given_axes(call: &Call, since: i64) -> Result<Option<Vec<i64>>, Fault> {
    match call.opset < since {
        true => Ok(call.opt_ints("axes")?.map(<[i64]>::to_vec)),
        false => call.opt_i64s(1),
    }
}

fn squeeze(call: &Call) -> Done {
    let x = call.x(0)?;
    let gone = match given_axes(call, 13)? {
        Some(all) => axes(&all, x.dims().len())?,
        None => (0..x.dims().len()).filter(|a| x.dims()[*a] == 1).collect(),
    };
    if let Some(bad) = gone.iter().find(|a| x.dims()[**a] != 1) {
        return Err(Fault::Shape(format!(
            "axis {bad} of {:?} is not 1",
            x.dims()
        )));
    }
    let kept = (0..x.dims().len()).filter(|a| !gone.contains(a));
    Ok(vec![x.shaped(kept.map(|a| x.dims()[a]).collect())])
}

fn unsqueeze(call: &Call) -> Done {
    let x = call.x(0)?;
    let all = given_axes(call, 13)?.ok_or_else(|| Fault::attribute("axes", "is missing"))?;
    let rank = x.dims().len() + all.len();
    let new = axes(&all, rank)?;
    let mut old = x.dims().iter();
    let one = |a: usize| {
        if new.contains(&a) {
            1
        } else {
            old.next().copied().unwrap_or(1)
        }
    };
    Ok(vec![x.shaped((0..rank).map(one).collect())])
}

fn transpose(call: &Call) -> Done {
    let x = call.x(0)?;
    let rank = x.dims().len();
    let perm: Vec<usize> = match call.opt_ints("perm")? {
        Some(all) => axes(all, rank)?,
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank {
        return Err(Fault::attribute(
            "perm",
            format!("{perm:?} for {rank} axes"),
        ));
    }
    Ok(vec![turned(x, &perm)])
}

/// Axes in another order.
pub(super) fn turned(x: &Array, perm: &[usize]) -> Array {
    let steps = strides(x.dims());
    let dims: Vec<usize> = perm.iter().map(|p| x.dims()[*p]).collect();
    let by: Vec<isize> = perm.iter().map(|p| steps[*p]).collect();
    let from = offsets(0, &dims, &by);
    x.pick(dims, from.into_iter())
}

fn expand(call: &Call) -> Done {
    let x = call.x(0)?;
    let dims = broadcast(&[x.dims(), &call.sizes(1)?])?;
    Ok(vec![repeat(call, x, &dims)?])
}

fn tile(call: &Call) -> Done {
    let (x, times) = (call.x(0)?, call.sizes(1)?);
    if times.len() != x.dims().len() {
        return Err(Fault::input(
            1,
            format!("{} counts for {:?}", times.len(), x.dims()),
        ));
    }
    let each = x.dims().iter().zip(&times);
    let dims: Option<Vec<usize>> = each.map(|(d, n)| d.checked_mul(*n)).collect();
    let dims = dims.ok_or_else(|| Fault::Shape(format!("{:?} times {times:?}", x.dims())))?;
    call.room(&dims)?;
    // As [n0, d0, n1, d1, ..], where the counts have step 0.
    let own = strides(x.dims());
    let box_dims: Vec<usize> = times
        .iter()
        .zip(x.dims())
        .flat_map(|(n, d)| [*n, *d])
        .collect();
    let steps: Vec<isize> = own.iter().flat_map(|s| [0, *s]).collect();
    Ok(vec![
        x.pick(dims, offsets(0, &box_dims, &steps).into_iter()),
    ])
}

fn shape(call: &Call) -> Done {
    let dims = call.x(0)?.dims();
    let rank = dims.len() as i64;
    let (mut start, mut end) = (0, rank);
    if call.opset >= 15 {
        start = call.int("start", 0)?;
        end = call.int("end", rank)?;
    }
    let bound = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
    let (start, end) = (bound(start), bound(end));
    let kept = &dims[start..end.max(start)];
    Ok(vec![Array::of_i64s(
        vec![kept.len()],
        kept.iter().map(|d| *d as i64),
    )])
}
