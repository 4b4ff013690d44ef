//! Operators.

use super::{Array, Data};
use crate::ir::Node;

pub(super) fn apply(node: &Node, x: &[&Array]) -> Result<Vec<Array>, String> {
    let axis = |rank: usize| {
        let axis = node.int("axis").unwrap();
        (if axis < 0 { axis + rank as i64 } else { axis }) as usize
    };
    let map =
        |f: fn(f32) -> f32| Array::f32(&x[0].dims, x[0].floats().iter().map(|v| f(*v)).collect());
    let one = match node.op_type.as_str() {
        "Neg" => map(|v| -v),
        "Abs" => map(f32::abs),
        "Relu" => map(|v| v.max(0.0)),
        "Tanh" => map(f32::tanh),
        "Exp" => map(f32::exp),
        "Sqrt" => map(f32::sqrt),
        "Erf" => map(erf),
        "Identity" => x[0].clone(),
        "Add" => binary(x, |a, b| a + b, |a, b| a + b)?,
        "Sub" => binary(x, |a, b| a - b, |a, b| a - b)?,
        "Mul" => binary(x, |a, b| a * b, |a, b| a * b)?,
        "Div" => binary(x, |a, b| a / b, |a, b| a / b)?,
        "Min" => binary(x, f32::min, i64::min)?,
        "MatMul" => matmul(x[0], x[1])?,
        "Gather" => gather(x[0], x[1])?,
        "Slice" => slice(x),
        "Split" => return split(x[0], node.outputs.len(), axis(x[0].dims.len())),
        "Concat" => concat(x, axis(x[0].dims.len())),
        "Reshape" => reshape(x[0], x[1].ints())?,
        "Squeeze" => {
            let axis = x[1].ints()[0] as usize;
            if x[0].dims[axis] != 1 {
                return Err(format!("axis {axis} of {:?} is not 1", x[0].dims));
            }
            let mut dims = x[0].dims.clone();
            dims.remove(axis);
            Array {
                dims,
                data: x[0].data.clone(),
            }
        }
        "Unsqueeze" => insert_axis(x[0], x[1].ints()[0] as usize),
        "Expand" => {
            let dims: Vec<usize> = x[1].ints().iter().map(|d| *d as usize).collect();
            let dims = broadcast_dims(&x[0].dims, &dims)?;
            repeat(x[0], &dims)
        }
        "Shape" => Array::i64(
            &[x[0].dims.len()],
            x[0].dims.iter().map(|d| *d as i64).collect(),
        ),
        "Pad" => pad(x[0], x[1].ints(), x[2].floats()[0]),
        "ReduceMean" => mean(x[0], node.ints("axes").unwrap()),
        other => panic!("{other} is not evaluated"),
    };
    Ok(vec![one])
}

/// By a series, which is exact enough for f32.
fn erf(x: f32) -> f32 {
    let x = f64::from(x).clamp(-4.0, 4.0);
    // erf x = 2/sqrt(pi) * e^(-x^2) * sum 2^n x^(2n+1) / (1 * 3 * .. * (2n+1)): all terms of one sign.
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    (std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum) as f32
}

fn broadcast_dims(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |d: &[usize], i: usize| {
        if i + d.len() < rank {
            1
        } else {
            d[i + d.len() - rank]
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("{a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len())
        .map(|i| dims[i + 1..].iter().product())
        .collect()
}

fn repeat(x: &Array, dims: &[usize]) -> Array {
    if x.dims == dims {
        return x.clone();
    }
    let (from, to) = (strides(&x.dims), strides(dims));
    let shift = dims.len() - x.dims.len();
    let source = |flat: usize| {
        (0..x.dims.len())
            .map(|i| {
                if x.dims[i] == 1 {
                    0
                } else {
                    flat / to[i + shift] % dims[i + shift] * from[i]
                }
            })
            .sum()
    };
    x.pick(dims.to_vec(), (0..dims.iter().product()).map(source))
}

fn binary(x: &[&Array], f: fn(f32, f32) -> f32, i: fn(i64, i64) -> i64) -> Result<Array, String> {
    let dims = broadcast_dims(&x[0].dims, &x[1].dims)?;
    let (a, b) = (repeat(x[0], &dims), repeat(x[1], &dims));
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => {
            Data::F32(a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect())
        }
        (Data::I64(a), Data::I64(b)) => {
            Data::I64(a.iter().zip(b).map(|(a, b)| i(*a, *b)).collect())
        }
        _ => return Err("mixed types".into()),
    };
    Ok(Array { dims, data })
}

/// `[.., K] x [K, N]`.
fn matmul(x: &Array, w: &Array) -> Result<Array, String> {
    let (&k, &n) = (x.dims.last().unwrap(), &w.dims[1]);
    if w.dims.len() != 2 || w.dims[0] != k {
        return Err(format!("{:?} x {:?}", x.dims, w.dims));
    }
    let (a, b) = (x.floats(), w.floats());
    let mut out = vec![];
    for row in a.chunks(k) {
        out.extend((0..n).map(|j| {
            row.iter()
                .enumerate()
                .fold(0.0f32, |sum, (i, v)| sum + v * b[i * n + j])
        }));
    }
    let dims = [&x.dims[..x.dims.len() - 1], &[n]].concat();
    Ok(Array::f32(&dims, out))
}

/// Along axis 0.
fn gather(x: &Array, indices: &Array) -> Result<Array, String> {
    let size: usize = x.dims[1..].iter().product();
    let rows = indices.ints();
    if let Some(bad) = rows.iter().find(|i| **i < 0 || **i as usize >= x.dims[0]) {
        return Err(format!("index {bad} of {}", x.dims[0]));
    }
    let at = rows
        .iter()
        .flat_map(|r| (0..size).map(move |i| *r as usize * size + i));
    Ok(x.pick([&indices.dims[..], &x.dims[1..]].concat(), at))
}

/// Entries `range` of one axis.
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

fn slice(x: &[&Array]) -> Array {
    let axis = x[3].ints()[0] as usize;
    let size = x[0].dims[axis] as i64;
    let bound = |n: i64| (if n < 0 { n.saturating_add(size) } else { n }).clamp(0, size) as usize;
    let (start, end) = (bound(x[1].ints()[0]), bound(x[2].ints()[0]));
    range(x[0], axis, start, end.max(start))
}

fn split(x: &Array, count: usize, axis: usize) -> Result<Vec<Array>, String> {
    let size = x.dims[axis];
    if !size.is_multiple_of(count) {
        return Err(format!("{size} into {count}"));
    }
    let each = size / count;
    Ok((0..count)
        .map(|i| range(x, axis, i * each, (i + 1) * each))
        .collect())
}

pub(super) fn take(x: &Array, axis: usize, index: usize) -> Array {
    let mut one = range(x, axis, index, index + 1);
    one.dims.remove(axis);
    one
}

pub(super) fn insert_axis(x: &Array, axis: usize) -> Array {
    let mut dims = x.dims.clone();
    dims.insert(axis, 1);
    Array {
        dims,
        data: x.data.clone(),
    }
}

pub(super) fn concat(x: &[&Array], axis: usize) -> Array {
    let outer: usize = x[0].dims[..axis].iter().product();
    let mut dims = x[0].dims.clone();
    dims[axis] = x.iter().map(|a| a.dims[axis]).sum();
    for a in x {
        assert!(
            a.dims[..axis] == dims[..axis] && a.dims[axis + 1..] == dims[axis + 1..],
            "{:?} beside {dims:?}",
            a.dims
        );
    }
    let size = |a: &Array| a.dims[axis..].iter().product::<usize>();
    let data = match x[0].data {
        Data::F32(_) => Data::F32(
            (0..outer)
                .flat_map(|o| {
                    x.iter()
                        .flat_map(move |a| a.floats()[o * size(a)..(o + 1) * size(a)].to_vec())
                })
                .collect(),
        ),
        Data::I64(_) => Data::I64(
            (0..outer)
                .flat_map(|o| {
                    x.iter()
                        .flat_map(move |a| a.ints()[o * size(a)..(o + 1) * size(a)].to_vec())
                })
                .collect(),
        ),
    };
    Array { dims, data }
}

fn reshape(x: &Array, target: &[i64]) -> Result<Array, String> {
    let mut dims: Vec<usize> = target
        .iter()
        .enumerate()
        .map(|(i, d)| match d {
            0 => x.dims[i],
            -1 => 1,
            d => *d as usize,
        })
        .collect();
    let total: usize = x.dims.iter().product();
    if let Some(rest) = target.iter().position(|d| *d == -1) {
        let known: usize = dims.iter().product();
        if known == 0 || !total.is_multiple_of(known) {
            return Err(format!("{:?} as {target:?}", x.dims));
        }
        dims[rest] = total / known;
    }
    if dims.iter().product::<usize>() != total {
        return Err(format!("{:?} as {target:?}", x.dims));
    }
    Ok(Array {
        dims,
        data: x.data.clone(),
    })
}

/// Padding at the front of axis 1.
fn pad(x: &Array, pads: &[i64], value: f32) -> Array {
    assert!(pads.iter().enumerate().all(|(i, p)| i == 1 || *p == 0) && pads.len() == 6);
    let dims = [x.dims[0], pads[1] as usize, x.dims[2]];
    let front = Array::f32(&dims, vec![value; dims.iter().product()]);
    concat(&[&front, x], 1)
}

/// Over the last axis.
fn mean(x: &Array, axes: &[i64]) -> Array {
    let rank = x.dims.len();
    assert_eq!(axes, [rank as i64 - 1]);
    let width = x.dims[rank - 1];
    let means = x
        .floats()
        .chunks(width)
        .map(|row| row.iter().sum::<f32>() / width as f32)
        .collect();
    Array::f32(&[&x.dims[..rank - 1], &[1]].concat(), means)
}
