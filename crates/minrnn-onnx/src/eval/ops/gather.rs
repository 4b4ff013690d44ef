//! Operators that pick by index.

use super::{Array, Call, Done, Fault, Kind, Op, axis, offsets, op, rank, smooth, strides};

pub(super) const OPS: &[Op] = &[
    smooth("Gather", 7, gather),
    smooth("GatherElements", 11, gather_elements),
    smooth("GatherND", 11, gather_nd),
    smooth("Compress", 9, compress),
    smooth("OneHot", 9, one_hot),
    op("NonZero", 9, Kind::Smooth, non_zero),
];

/// An index that may count from the end.
pub(super) fn index(i: i64, size: usize) -> Result<usize, Fault> {
    let counted = if i < 0 {
        i.saturating_add(size as i64)
    } else {
        i
    };
    usize::try_from(counted)
        .ok()
        .filter(|i| *i < size)
        .ok_or_else(|| Fault::Value(format!("index {i} of {size}")))
}

fn gather(call: &Call) -> Done {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let at = call.axis(0, x.dims().len())?;
    let size = x.dims()[at];
    let all = call.i64s(1)?;
    let all = all
        .iter()
        .map(|i| index(*i, size))
        .collect::<Result<Vec<_>, _>>()?;
    let dims = [&x.dims()[..at], indices.dims(), &x.dims()[at + 1..]].concat();
    let total = call.room(&dims)?;
    let outer: usize = x.dims()[..at].iter().product();
    let inner: usize = x.dims()[at + 1..].iter().product();
    let mut flat = Vec::with_capacity(total);
    for o in 0..outer {
        for i in &all {
            let begin = (o * size + i) * inner;
            flat.extend(begin..begin + inner);
        }
    }
    Ok(vec![x.pick(dims, flat.into_iter())])
}

/// Flat positions in `dims` of the elements that indices along an axis name; the other indices are those of `shape`.
pub(super) fn along(
    indices: &[i64],
    shape: &[usize],
    dims: &[usize],
    at: usize,
) -> Result<Vec<usize>, Fault> {
    let within =
        shape.len() == dims.len() && (0..dims.len()).all(|a| a == at || shape[a] <= dims[a]);
    if !within {
        return Err(Fault::Shape(format!("indices {shape:?} for {dims:?}")));
    }
    let mut steps = strides(dims);
    let step = steps[at];
    steps[at] = 0;
    let base = offsets(0, shape, &steps);
    let each = base.into_iter().zip(indices);
    each.map(|(b, i)| Ok(b + index(*i, dims[at])? * step as usize))
        .collect()
}

fn gather_elements(call: &Call) -> Done {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let at = call.axis(0, x.dims().len())?;
    let flat = along(&call.i64s(1)?, indices.dims(), x.dims(), at)?;
    Ok(vec![x.pick(indices.dims().to_vec(), flat.into_iter())])
}

fn gather_nd(call: &Call) -> Done {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let batch = if call.opset >= 12 {
        call.opt_size("batch_dims")?.unwrap_or(0)
    } else {
        0
    };
    let (n, last) = (x.dims().len(), rank(indices, 1)? - 1);
    let depth = indices.dims()[last];
    let wrong = || {
        Fault::Shape(format!(
            "indices {:?} for {:?}, {batch} of a batch",
            indices.dims(),
            x.dims()
        ))
    };
    if batch > last
        || batch + depth > n
        || x.dims()[..batch] != indices.dims()[..batch]
        || depth == 0
    {
        return Err(wrong());
    }
    let steps = strides(x.dims());
    let inner: usize = x.dims()[batch + depth..].iter().product();
    let rows: usize = indices.dims()[batch..last].iter().product();
    let block: usize = x.dims()[batch..].iter().product();
    let dims = [&indices.dims()[..last], &x.dims()[batch + depth..]].concat();
    let mut flat = Vec::with_capacity(call.room(&dims)?);
    for (row, tuple) in call.i64s(1)?.chunks_exact(depth).enumerate() {
        let mut at = row / rows.max(1) * block;
        for (k, i) in tuple.iter().enumerate() {
            at += index(*i, x.dims()[batch + k])? * steps[batch + k] as usize;
        }
        flat.extend(at..at + inner);
    }
    Ok(vec![x.pick(dims, flat.into_iter())])
}

fn compress(call: &Call) -> Done {
    let (x, keep) = (call.x(0)?, call.ints(1)?);
    let (x, at) = match call.opt_int("axis")? {
        Some(a) => (x.clone(), axis(a, x.dims().len())?),
        None => (x.shaped(vec![x.len()]), 0),
    };
    let size = x.dims()[at];
    if keep.len() > size {
        return Err(Fault::input(1, format!("{} choices of {size}", keep.len())));
    }
    let kept: Vec<usize> = (0..keep.len()).filter(|i| keep[*i] != 0).collect();
    let inner: usize = x.dims()[at + 1..].iter().product();
    let outer: usize = x.dims()[..at].iter().product();
    let mut dims = x.dims().to_vec();
    dims[at] = kept.len();
    let begin = |o: usize, i: usize| (o * size + i) * inner;
    let flat = (0..outer).flat_map(|o| {
        kept.iter()
            .flat_map(move |i| begin(o, *i)..begin(o, *i) + inner)
    });
    Ok(vec![x.pick(dims, flat)])
}

fn one_hot(call: &Call) -> Done {
    let (indices, values) = (call.x(0)?, call.x(2)?);
    let depth = match call.x(1)?.is_float() {
        true => call.one_float(1)? as i64,
        false => call.one_i64(1)?,
    };
    let depth = usize::try_from(depth).map_err(|_| Fault::input(1, "is negative"))?;
    if values.len() != 2 {
        return Err(Fault::input(2, "wanted the values for off and on"));
    }
    let at = call.axis(-1, indices.dims().len() + 1)?;
    let mut dims = indices.dims().to_vec();
    dims.insert(at, depth);
    let total = call.room(&dims)?;
    let inner: usize = indices.dims()[at..].iter().product();
    // Outside of the range every value is off.
    let size = depth as i64;
    let all: Vec<Option<i64>> = indices
        .as_floats()
        .iter()
        .map(|f| *f as i64)
        .map(|i| if i < 0 { i.saturating_add(size) } else { i })
        .map(|i| Some(i).filter(|i| (0..size).contains(i)))
        .collect();
    let one = |flat: usize| {
        let (outer, d, k) = (flat / inner / depth, flat / inner % depth, flat % inner);
        usize::from(all[outer * inner + k] == Some(d as i64))
    };
    Ok(vec![values.pick(dims, (0..total).map(one))])
}

fn non_zero(call: &Call) -> Done {
    let x = call.x(0)?;
    let found: Vec<usize> = match (x.floats(), x.ints()) {
        (Some(v), _) => (0..v.len()).filter(|i| v[*i] != 0.0).collect(),
        (_, Some(v)) => (0..v.len()).filter(|i| v[*i] != 0).collect(),
        _ => vec![],
    };
    let steps = strides(x.dims());
    let rows = x.dims().iter().zip(&steps);
    let all = rows.flat_map(|(d, s)| found.iter().map(move |i| (i / *s as usize % d) as i64));
    let dims = vec![x.dims().len(), found.len()];
    Ok(vec![Array::of_i64s(dims, all)])
}
