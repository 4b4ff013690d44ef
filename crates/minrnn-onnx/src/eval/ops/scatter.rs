//! Operators that put values at indices.

use super::gather::{along, index};
use super::{Array, Call, Done, Fault, Op, axis, rank, smooth, strides};

pub(super) const OPS: &[Op] = &[
    smooth("Scatter", 9, scatter_elements),
    smooth("ScatterElements", 11, scatter_elements),
    smooth("ScatterND", 11, scatter_nd),
    smooth("TensorScatter", 24, tensor_scatter),
];

/// How what is put joins what is there.
#[derive(Clone, Copy)]
enum How {
    Put,
    Add,
    Mul,
    Max,
    Min,
}

fn how(call: &Call, mul_since: i64) -> Result<How, Fault> {
    if call.opset < mul_since {
        return Ok(How::Put);
    }
    Ok(match call.word("reduction", "none")? {
        "none" => How::Put,
        "add" => How::Add,
        "mul" => How::Mul,
        "max" if call.opset >= 18 => How::Max,
        "min" if call.opset >= 18 => How::Min,
        word => return Err(super::wrong_word("reduction", word)),
    })
}

/// `x` with the elements of `updates`, in their order, at flat positions.
fn put(x: &Array, updates: &Array, at: &[usize], how: How) -> Result<Array, Fault> {
    super::alike(x, updates)?;
    if updates.len() != at.len() {
        return Err(Fault::Shape(format!(
            "{} updates for {} places",
            updates.len(),
            at.len()
        )));
    }
    Ok(
        match (x.floats(), updates.floats(), x.ints(), updates.ints()) {
            (Some(x_), Some(u), ..) => {
                let mut v = x_.to_vec();
                for (i, u) in at.iter().zip(u) {
                    v[*i] = match how {
                        How::Put => *u,
                        How::Add => v[*i] + u,
                        How::Mul => v[*i] * u,
                        How::Max => {
                            if u.is_nan() || *u > v[*i] {
                                *u
                            } else {
                                v[*i]
                            }
                        }
                        How::Min => {
                            if u.is_nan() || *u < v[*i] {
                                *u
                            } else {
                                v[*i]
                            }
                        }
                    };
                }
                x.with(v)
            }
            (.., Some(x_), Some(u)) => {
                let mut v = x_.to_vec();
                for (i, u) in at.iter().zip(u) {
                    v[*i] = match how {
                        How::Put => *u,
                        How::Add => v[*i].wrapping_add(*u),
                        How::Mul => crate::eval::number::wrap(x.dtype(), v[*i].wrapping_mul(*u)),
                        How::Max => v[*i].max(*u),
                        How::Min => v[*i].min(*u),
                    };
                }
                Array::of_ints(x.dtype(), x.dims().to_vec(), v)
            }
            _ => return Err(Fault::Type("floats beside integers".into())),
        },
    )
}

fn scatter_elements(call: &Call) -> Done {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let at = call.axis(0, x.dims().len())?;
    if indices.dims() != updates.dims() {
        return Err(Fault::input(2, "has another shape than the indices"));
    }
    let flat = along(&call.i64s(1)?, indices.dims(), x.dims(), at)?;
    Ok(vec![put(x, updates, &flat, how(call, 16)?)?])
}

fn scatter_nd(call: &Call) -> Done {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let last = rank(indices, 1)? - 1;
    let depth = indices.dims()[last];
    let n = x.dims().len();
    let wrong = || {
        Fault::Shape(format!(
            "indices {:?}, updates {:?} for {:?}",
            indices.dims(),
            updates.dims(),
            x.dims()
        ))
    };
    if depth == 0 || depth > n {
        return Err(wrong());
    }
    if [&indices.dims()[..last], &x.dims()[depth..]].concat() != updates.dims() {
        return Err(wrong());
    }
    let steps = strides(x.dims());
    let inner: usize = x.dims()[depth..].iter().product();
    let mut flat = Vec::with_capacity(updates.len());
    for tuple in call.i64s(1)?.chunks_exact(depth) {
        let mut at = 0;
        for (k, i) in tuple.iter().enumerate() {
            at += index(*i, x.dims()[k])? * steps[k] as usize;
        }
        flat.extend(at..at + inner);
    }
    Ok(vec![put(x, updates, &flat, how(call, 16)?)?])
}

/// New entries of a cache, at a place for each row of the batch.
fn tensor_scatter(call: &Call) -> Done {
    let (past, update) = (call.x(0)?, call.x(1)?);
    let n = rank(past, 2)?;
    let at = axis(call.int("axis", -2)?, n)?;
    let circular = match call.word("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        word => return Err(super::wrong_word("mode", word)),
    };
    let (shape, most) = (update.dims(), past.dims()[at]);
    let fits = shape.len() == n
        && (0..n).all(|a| {
            if a == at {
                shape[a] <= most
            } else {
                shape[a] == past.dims()[a]
            }
        });
    if !fits || at == 0 {
        return Err(Fault::Shape(format!(
            "{shape:?} into {:?} along axis {at}",
            past.dims()
        )));
    }
    let starts = match call.opt(2) {
        Some(_) => call.sizes(2)?,
        None => vec![0; past.dims()[0]],
    };
    if starts.len() != past.dims()[0] {
        return Err(Fault::input(2, "is not one index for each row"));
    }
    let inner: usize = past.dims()[at + 1..].iter().product();
    let middle: usize = past.dims()[1..at].iter().product();
    let mut flat = Vec::with_capacity(update.len());
    for (b, start) in starts.iter().enumerate() {
        for m in 0..middle {
            for t in 0..shape[at] {
                let t = start.saturating_add(t);
                let t = if circular && most > 0 { t % most } else { t };
                if t >= most {
                    return Err(Fault::Value(format!("entry {t} of a cache of {most}")));
                }
                let begin = ((b * middle + m) * most + t) * inner;
                flat.extend(begin..begin + inner);
            }
        }
    }
    Ok(vec![put(past, update, &flat, How::Put)?])
}
