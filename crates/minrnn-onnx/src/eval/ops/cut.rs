//! Operators that cut and join.

use super::{Array, Call, Done, Fault, Op, axes, axis, offsets, smooth, strides};

pub(super) const OPS: &[Op] = &[
    smooth("Concat", 7, concat),
    smooth("Split", 7, split),
    smooth("Slice", 7, slice),
];

/// The entries from `start` to before `end` along an axis.
pub(in super::super) fn part(
    x: &Array,
    axis: usize,
    start: usize,
    end: usize,
) -> Result<Array, Fault> {
    let mut dims = x.dims().to_vec();
    match dims.get_mut(axis) {
        Some(d) if start <= end && end <= *d => *d = end - start,
        _ => {
            return Err(Fault::Shape(format!(
                "{start} to {end} along axis {axis} of {dims:?}"
            )));
        }
    }
    let steps = strides(x.dims());
    let from = offsets(start as isize * steps[axis], &dims, &steps);
    Ok(x.pick(dims, from.into_iter()))
}

/// Arrays one after the other along an axis; all of one type.
pub(in super::super) fn join(all: &[&Array], axis: usize) -> Result<Array, Fault> {
    let first = all[0];
    let mut dims = first.dims().to_vec();
    if axis >= dims.len() {
        return Err(Fault::Shape(format!("axis {axis} of {dims:?}")));
    }
    let mut total = 0;
    for a in all {
        super::alike(first, a)?;
        let fits = a.dims().len() == dims.len()
            && (0..dims.len()).all(|i| i == axis || a.dims()[i] == dims[i]);
        if !fits {
            return Err(Fault::Shape(format!(
                "{:?} beside {dims:?} along axis {axis}",
                a.dims()
            )));
        }
        total += a.dims()[axis];
    }
    dims[axis] = total;
    if crate::eval::array::count(&dims).is_none() {
        return Err(Fault::Shape(format!("{dims:?} is not possible")));
    }
    let outer: usize = dims[..axis].iter().product();
    let width = |a: &Array| a.dims()[axis..].iter().product::<usize>();
    if first.is_float() {
        let v: Vec<&[f64]> = all.iter().filter_map(|a| a.floats()).collect();
        let mut data = Vec::with_capacity(dims.iter().product());
        for o in 0..outer {
            all.iter()
                .zip(&v)
                .for_each(|(a, v)| data.extend_from_slice(&v[o * width(a)..(o + 1) * width(a)]));
        }
        return Ok(Array::of_floats(first.dtype(), dims, data));
    }
    let v: Vec<&[i128]> = all.iter().filter_map(|a| a.ints()).collect();
    let mut data = Vec::with_capacity(dims.iter().product());
    for o in 0..outer {
        all.iter()
            .zip(&v)
            .for_each(|(a, v)| data.extend_from_slice(&v[o * width(a)..(o + 1) * width(a)]));
    }
    Ok(Array::of_ints(first.dtype(), dims, data))
}

fn concat(call: &Call) -> Done {
    let all = call.all()?;
    let given = call.opt_int("axis")?;
    let given = given.ok_or_else(|| Fault::attribute("axis", "is missing"))?;
    call.room(&[all.iter().map(|a| a.len()).sum()])?;
    Ok(vec![join(&all, axis(given, all[0].dims().len())?)?])
}

fn split(call: &Call) -> Done {
    let x = call.x(0)?;
    let at = call.axis(0, x.dims().len())?;
    let size = x.dims()[at];
    let outputs = call.node.outputs.len();
    let count = match call.opset >= 18 {
        true => call.opt_size("num_outputs")?,
        false => None,
    };
    if count.is_some_and(|n| n != outputs) {
        return Err(Fault::attribute(
            "num_outputs",
            format!("is not the {outputs} outputs that there are"),
        ));
    }
    let sizes: Option<Vec<usize>> = match call.opset < 13 {
        true => match call.opt_ints("split")? {
            None => None,
            Some(all) => {
                let all: Option<_> = all.iter().map(|n| usize::try_from(*n).ok()).collect();
                Some(all.ok_or_else(|| Fault::attribute("split", "has a negative size"))?)
            }
        },
        false => call.opt(1).map(|_| call.sizes(1)).transpose()?,
    };
    let wrong = || Fault::Shape(format!("{size} entries into {outputs} parts"));
    let sizes = match sizes {
        Some(_) if count.is_some() => {
            return Err(Fault::attribute("num_outputs", "stands beside sizes"));
        }
        Some(sizes) => sizes,
        None if call.opset < 18 && !size.is_multiple_of(outputs) => return Err(wrong()),
        None => {
            let each = size.div_ceil(outputs);
            (0..outputs)
                .map(|i| size.saturating_sub(i * each).min(each))
                .collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |n, s| n.checked_add(*s));
    if total != Some(size) || sizes.len() != outputs {
        return Err(wrong());
    }
    let mut start = 0;
    let one = |n: usize| {
        start += n;
        part(x, at, start - n, start)
    };
    sizes.into_iter().map(one).collect()
}

fn slice(call: &Call) -> Done {
    let x = call.x(0)?;
    let (starts, ends, on, steps) = if call.opset < 10 {
        let list = |name: &str| -> Result<Option<Vec<i64>>, Fault> {
            Ok(call.opt_ints(name)?.map(<[i64]>::to_vec))
        };
        let needed = |name: &str| -> Result<Vec<i64>, Fault> {
            list(name)?.ok_or_else(|| Fault::attribute(name, "is missing"))
        };
        (needed("starts")?, needed("ends")?, list("axes")?, None)
    } else {
        (
            call.i64s(1)?,
            call.i64s(2)?,
            call.opt_i64s(3)?,
            call.opt_i64s(4)?,
        )
    };
    let count = starts.len();
    let on = on.unwrap_or_else(|| (0..count as i64).collect());
    let by = steps.unwrap_or_else(|| vec![1; count]);
    if ends.len() != count || on.len() != count || by.len() != count {
        return Err(Fault::Shape(
            "starts, ends, axes and steps are not as many".into(),
        ));
    }
    let on = axes(&on, x.dims().len())?;
    let own = strides(x.dims());
    let (mut dims, mut steps, mut begin) = (x.dims().to_vec(), own.clone(), 0isize);
    for i in 0..count {
        let (a, step) = (on[i], by[i]);
        let size = x.dims()[a] as i64;
        // Backwards, a bound may lie before the first entry.
        let (low, high) = match step {
            0 => return Err(Fault::Value("a step of 0".into())),
            s if s > 0 => (0, size),
            _ => (-1, size - 1),
        };
        let bound =
            |n: i64| (if n < 0 { n.saturating_add(size) } else { n }).clamp(low, high.max(low));
        let (start, end) = (bound(starts[i]), bound(ends[i]));
        let way = (end - start) * step.signum();
        dims[a] = (way.max(0) as u64).div_ceil(step.unsigned_abs()) as usize;
        // With one entry or none the step does not matter, and may be anything.
        steps[a] = if dims[a] > 1 {
            own[a].wrapping_mul(step as isize)
        } else {
            0
        };
        begin += if dims[a] > 0 {
            own[a] * start as isize
        } else {
            0
        };
    }
    let from = offsets(begin, &dims, &steps);
    Ok(vec![x.pick(dims, from.into_iter())])
}
