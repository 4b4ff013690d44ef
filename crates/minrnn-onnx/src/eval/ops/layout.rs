//! Operators that move, repeat, pick or surround values.

use super::elementwise::{broadcast_dims, repeat};
use super::{Array, Call, Done, at, position, strides};

pub(super) fn apply(call: &Call) -> Option<Done> {
    let x = call.opt(0)?;
    let rank = x.dims.len();
    let one = match call.node.op_type.as_str() {
        "Gather" => gather(call),
        "GatherElements" => gather_elements(call),
        "GatherND" => gather_nd(call),
        "Slice" => Ok(slice(call)),
        "Split" => return Some(split(call)),
        "Concat" => {
            let all: Vec<&Array> = (0..call.inputs.len()).map(|i| call.x(i)).collect();
            Ok(concat(&all, call.axis(0)))
        }
        "Reshape" => reshape(x, call.x(1).ints(), call.int("allowzero", 0) == 1),
        "Flatten" => {
            let axis = at(call.int("axis", 1), rank);
            let halves = [&x.dims[..axis], &x.dims[axis..]];
            Ok(x.shaped(halves.iter().map(|d| d.iter().product()).collect()))
        }
        "Squeeze" => squeeze(call),
        "Unsqueeze" => Ok(unsqueeze(x, call.x(1).ints())),
        "Transpose" => Ok(transpose(call)),
        "Expand" => {
            let dims: Vec<usize> = call.x(1).ints().iter().map(|d| *d as usize).collect();
            broadcast_dims(&x.dims, &dims).map(|dims| repeat(x, &dims))
        }
        "Tile" => {
            let times = call.x(1).ints().iter().map(|n| *n as usize);
            let dims: Vec<usize> = x.dims.iter().zip(times).map(|(d, n)| d * n).collect();
            Ok(from_positions(x, dims, |p| {
                p.iter().zip(&x.dims).map(|(p, d)| Some(p % d)).collect()
            }))
        }
        "Shape" => {
            let bound =
                |n: i64| (if n < 0 { n + rank as i64 } else { n }).clamp(0, rank as i64) as usize;
            let (start, end) = (
                bound(call.int("start", 0)),
                bound(call.int("end", rank as i64)),
            );
            let dims: Vec<i64> = x.dims[start..end.max(start)]
                .iter()
                .map(|d| *d as i64)
                .collect();
            Ok(Array::i64(&[dims.len()], dims))
        }
        "Size" => Ok(Array::i64(&[], vec![x.len() as i64])),
        "Pad" => pad(call),
        _ => return None,
    };
    Some(one.map(|a| vec![a]))
}

/// An array whose element at a position is that of `x` at another; `None` in it: zero.
fn from_positions(
    x: &Array,
    dims: Vec<usize>,
    from: impl Fn(&[usize]) -> Option<Vec<usize>>,
) -> Array {
    let steps = strides(&x.dims);
    let source = |flat: usize| {
        let place = from(&position(flat, &dims))?;
        Some(place.iter().zip(&steps).map(|(p, s)| p * s).sum())
    };
    let count = dims.iter().product();
    let all: Vec<Option<usize>> = (0..count).map(source).collect();
    x.pick_or_zero(dims, all.into_iter())
}

fn index(i: i64, size: usize) -> Result<usize, String> {
    let counted = if i < 0 { i + size as i64 } else { i };
    usize::try_from(counted)
        .ok()
        .filter(|i| *i < size)
        .ok_or_else(|| format!("index {i} of {size}"))
}

fn gather(call: &Call) -> Result<Array, String> {
    let (x, indices, axis) = (call.x(0), call.x(1), call.axis(0));
    let size = x.dims[axis];
    let at = indices
        .ints()
        .iter()
        .map(|i| index(*i, size))
        .collect::<Result<Vec<_>, _>>()?;
    let outer: usize = x.dims[..axis].iter().product();
    let inner: usize = x.dims[axis + 1..].iter().product();
    let mut flat = vec![];
    for o in 0..outer {
        for i in &at {
            flat.extend((0..inner).map(|k| (o * size + i) * inner + k));
        }
    }
    let dims = [&x.dims[..axis], &indices.dims, &x.dims[axis + 1..]].concat();
    Ok(x.pick(dims, flat.into_iter()))
}

fn gather_elements(call: &Call) -> Result<Array, String> {
    let (x, indices, axis) = (call.x(0), call.x(1), call.axis(0));
    let steps = strides(&x.dims);
    let one = |(flat, i): (usize, &i64)| {
        let mut place = position(flat, &indices.dims);
        place[axis] = index(*i, x.dims[axis])?;
        Ok(place.iter().zip(&steps).map(|(p, s)| p * s).sum())
    };
    let all = indices
        .ints()
        .iter()
        .enumerate()
        .map(one)
        .collect::<Result<Vec<usize>, String>>()?;
    Ok(x.pick(indices.dims.clone(), all.into_iter()))
}

fn gather_nd(call: &Call) -> Result<Array, String> {
    let (x, indices) = (call.x(0), call.x(1));
    let batch = call.int("batch_dims", 0) as usize;
    let (depth, outer) = indices.dims.split_last().ok_or("indices without axes")?;
    let inner: usize = x.dims[batch + depth..].iter().product();
    let each: usize = outer[batch..].iter().product();
    let mut flat = vec![];
    for (row, tuple) in indices.ints().chunks(*depth).enumerate() {
        let start = tuple
            .iter()
            .enumerate()
            .try_fold(row / each, |sum, (k, i)| {
                let size = x.dims[batch + k];
                Ok::<_, String>(sum * size + index(*i, size)?)
            })?;
        flat.extend((0..inner).map(|i| start * inner + i));
    }
    let dims = [outer, &x.dims[batch + depth..]].concat();
    Ok(x.pick(dims, flat.into_iter()))
}

/// Entries `start..end` of one axis.
fn range(x: &Array, axis: usize, start: usize, end: usize) -> Array {
    let inner: usize = x.dims[axis + 1..].iter().product();
    let outer: usize = x.dims[..axis].iter().product();
    let size = x.dims[axis];
    let mut dims = x.dims.clone();
    dims[axis] = end - start;
    let at =
        (0..outer).flat_map(|o| (start * inner..end * inner).map(move |i| o * size * inner + i));
    x.pick(dims, at)
}

fn slice(call: &Call) -> Array {
    let x = call.x(0);
    let count = call.x(1).len();
    let all: Vec<i64> = (0..count as i64).collect();
    let axes = call.opt(3).map_or(&all[..], Array::ints);
    let ones = vec![1; count];
    let steps = call.opt(4).map_or(&ones[..], Array::ints);
    let mut dims = x.dims.clone();
    let mut starts = vec![(0i64, 1i64); dims.len()];
    for i in 0..count {
        let axis = at(axes[i], dims.len());
        let size = x.dims[axis] as i64;
        let step = steps[i];
        // Backwards, a bound may lie before the first entry.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let bound = |n: i64| (if n < 0 { n.saturating_add(size) } else { n }).clamp(low, high);
        let (start, end) = (bound(call.x(1).ints()[i]), bound(call.x(2).ints()[i]));
        let way = (end - start) * step.signum();
        dims[axis] = way.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        starts[axis] = (start, step);
    }
    from_positions(x, dims, |p| {
        p.iter()
            .zip(&starts)
            .map(|(p, (start, step))| usize::try_from(start + *p as i64 * step).ok())
            .collect()
    })
}

fn split(call: &Call) -> Done {
    let (x, axis, count) = (call.x(0), call.axis(0), call.node.outputs.len());
    let size = x.dims[axis];
    let sizes: Vec<usize> = match call.opt(1) {
        Some(sizes) => sizes.ints().iter().map(|n| *n as usize).collect(),
        None if call.opset < 18 && !size.is_multiple_of(count) => {
            return Err(format!("{size} into {count}"));
        }
        None => {
            let each = size.div_ceil(count);
            let last = size.checked_sub(each * (count - 1));
            let last = last.ok_or_else(|| format!("{size} into {count}"))?;
            (0..count)
                .map(|i| if i + 1 == count { last } else { each })
                .collect()
        }
    };
    if sizes.iter().sum::<usize>() != size || sizes.len() != count {
        return Err(format!("{size} into {sizes:?}"));
    }
    let mut start = 0;
    Ok(sizes
        .iter()
        .map(|n| {
            start += n;
            range(x, axis, start - n, start)
        })
        .collect())
}

pub(in super::super) fn take(x: &Array, axis: usize, index: usize) -> Array {
    let mut one = range(x, axis, index, index + 1);
    one.dims.remove(axis);
    one
}

pub(in super::super) fn insert_axis(x: &Array, axis: usize) -> Array {
    let mut dims = x.dims.clone();
    dims.insert(axis, 1);
    x.shaped(dims)
}

fn unsqueeze(x: &Array, axes: &[i64]) -> Array {
    let rank = x.dims.len() + axes.len();
    let mut sorted: Vec<usize> = axes.iter().map(|a| at(*a, rank)).collect();
    sorted.sort_unstable();
    sorted.iter().fold(x.clone(), |x, a| insert_axis(&x, *a))
}

fn squeeze(call: &Call) -> Result<Array, String> {
    let x = call.x(0);
    let rank = x.dims.len();
    let gone: Vec<usize> = match call.opt(1) {
        Some(axes) => axes.ints().iter().map(|a| at(*a, rank)).collect(),
        None => (0..rank).filter(|i| x.dims[*i] == 1).collect(),
    };
    if let Some(bad) = gone.iter().find(|a| x.dims[**a] != 1) {
        return Err(format!("axis {bad} of {:?} is not 1", x.dims));
    }
    let kept = (0..rank).filter(|i| !gone.contains(i)).map(|i| x.dims[i]);
    Ok(x.shaped(kept.collect()))
}

fn transpose(call: &Call) -> Array {
    let x = call.x(0);
    let backwards: Vec<i64> = (0..x.dims.len() as i64).rev().collect();
    let perm = call.node.ints("perm").unwrap_or(&backwards);
    let dims = perm.iter().map(|p| x.dims[*p as usize]).collect();
    from_positions(x, dims, |p| {
        let mut place = vec![0; p.len()];
        perm.iter()
            .zip(p)
            .for_each(|(axis, p)| place[*axis as usize] = *p);
        Some(place)
    })
}

pub(in super::super) fn concat(x: &[&Array], axis: usize) -> Array {
    let mut dims = x[0].dims.clone();
    dims[axis] = x.iter().map(|a| a.dims[axis]).sum();
    for a in x {
        let fits = a.dims[..axis] == dims[..axis] && a.dims[axis + 1..] == dims[axis + 1..];
        assert!(
            fits && a.dtype == x[0].dtype,
            "{:?} beside {dims:?}",
            a.dims
        );
    }
    let outer: usize = dims[..axis].iter().product();
    let size = |a: &Array| a.dims[axis..].iter().product::<usize>();
    let data = match &x[0].data {
        super::Data::Floats(_) => {
            let rows = (0..outer).flat_map(|o| {
                x.iter()
                    .flat_map(move |a| a.floats()[o * size(a)..(o + 1) * size(a)].to_vec())
            });
            super::Data::Floats(rows.collect())
        }
        super::Data::Ints(_) => {
            let rows = (0..outer).flat_map(|o| {
                x.iter()
                    .flat_map(move |a| a.ints()[o * size(a)..(o + 1) * size(a)].to_vec())
            });
            super::Data::Ints(rows.collect())
        }
    };
    Array::of(x[0].dtype, &dims, data)
}

fn reshape(x: &Array, target: &[i64], zero_is_zero: bool) -> Result<Array, String> {
    let wrong = || format!("{:?} as {target:?}", x.dims);
    let mut dims: Vec<usize> = target
        .iter()
        .enumerate()
        .map(|(i, d)| match d {
            0 if !zero_is_zero => x.dims[i],
            -1 => 1,
            d => *d as usize,
        })
        .collect();
    let total = x.len();
    if let Some(rest) = target.iter().position(|d| *d == -1) {
        let known: usize = dims.iter().product();
        if known == 0 || !total.is_multiple_of(known) {
            return Err(wrong());
        }
        dims[rest] = total / known;
    }
    if dims.iter().product::<usize>() != total {
        return Err(wrong());
    }
    Ok(x.shaped(dims))
}

fn pad(call: &Call) -> Result<Array, String> {
    let (x, pads) = (call.x(0), call.x(1).ints());
    let rank = x.dims.len();
    let all: Vec<i64> = (0..rank as i64).collect();
    let axes = call.opt(3).map_or(&all[..], Array::ints);
    let mode = call.word("mode", "constant");
    let (mut before, mut dims) = (vec![0i64; rank], x.dims.clone());
    for (i, a) in axes.iter().enumerate() {
        let a = at(*a, rank);
        before[a] = pads[i];
        let size = x.dims[a] as i64 + pads[i] + pads[axes.len() + i];
        dims[a] = usize::try_from(size).map_err(|_| format!("{size} entries"))?;
    }
    let place = |p: usize, a: usize| {
        let (i, n) = (p as i64 - before[a], x.dims[a] as i64);
        let i = match mode.as_str() {
            "edge" => i.clamp(0, n - 1),
            "wrap" => i.rem_euclid(n),
            "reflect" if n > 1 => {
                let around = i.rem_euclid(2 * (n - 1));
                around.min(2 * (n - 1) - around)
            }
            _ => i,
        };
        usize::try_from(i).ok().filter(|i| *i < x.dims[a])
    };
    let from = |p: &[usize]| p.iter().enumerate().map(|(a, p)| place(*p, a)).collect();
    let filled = from_positions(x, dims.clone(), from);
    let Some(value) = call.opt(2) else {
        return Ok(filled);
    };
    // The value goes where nothing of `x` does: found by moving ones in the same way.
    let ones = Array::bool(&x.dims, (0..x.len()).map(|_| true));
    let there = from_positions(&ones, dims.clone(), from);
    let count = filled.len();
    let both = concat(&[&filled.shaped(vec![count]), &value.shaped(vec![1])], 0);
    let pick = |(i, t): (usize, &i64)| if *t != 0 { i } else { count };
    Ok(both.pick(dims, there.ints().iter().enumerate().map(pick)))
}
