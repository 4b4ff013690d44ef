//! Matrix products: sums in order, in f32 or i64.

use super::elementwise::{broadcast_dims, repeat};
use super::{Array, Call, Data, Done};
use crate::ir::DType;

pub(super) fn apply(call: &Call) -> Option<Done> {
    let one = match call.node.op_type.as_str() {
        "MatMul" => matmul(call.x(0), call.x(1)),
        "MatMulInteger" => integer(call),
        "Gemm" => gemm(call),
        _ => return None,
    };
    Some(one.map(|a| vec![a]))
}

pub(super) fn matmul(a: &Array, b: &Array) -> Result<Array, String> {
    let (mut x, mut y) = (a.clone(), b.clone());
    // A vector takes part as a row on the left, as a column on the right.
    if a.dims.len() == 1 {
        x.dims.insert(0, 1);
    }
    if b.dims.len() == 1 {
        y.dims.push(1);
    }
    let (batch_x, [m, k]) = x.dims.split_last_chunk::<2>().ok_or("a number")?;
    let (batch_y, [k_y, n]) = y.dims.split_last_chunk::<2>().ok_or("a number")?;
    let (m, k, n) = (*m, *k, *n);
    if k != *k_y || a.dtype != b.dtype {
        return Err(format!("{:?} x {:?}", a.dims, b.dims));
    }
    let batch = broadcast_dims(batch_x, batch_y)?;
    let x = repeat(&x, &[&batch[..], &[m, k]].concat());
    let y = repeat(&y, &[&batch[..], &[k, n]].concat());
    let mut places = vec![];
    for i in 0..batch.iter().product() {
        for r in 0..m {
            places.extend((0..n).map(|c| ((i * m + r) * k, i * k * n + c)));
        }
    }
    let data = match (&x.data, &y.data) {
        (Data::Floats(x), Data::Floats(y)) => {
            let dot = |(r, c): &(usize, usize)| {
                (0..k).fold(0.0f32, |sum, i| sum + x[r + i] * y[c + i * n])
            };
            Data::Floats(places.iter().map(dot).collect())
        }
        _ => {
            let (x, y) = (x.ints(), y.ints());
            let dot = |(r, c): &(usize, usize)| {
                (0..k).fold(0i64, |sum, i| {
                    sum.wrapping_add(x[r + i].wrapping_mul(y[c + i * n]))
                })
            };
            Data::Ints(places.iter().map(dot).collect())
        }
    };
    let mut dims = batch;
    if a.dims.len() > 1 {
        dims.push(m);
    }
    if b.dims.len() > 1 {
        dims.push(n);
    }
    Ok(Array::of(a.dtype, &dims, data))
}

/// As i32, less the zero points: one for each row on the left, each column on the right.
fn integer(call: &Call) -> Result<Array, String> {
    let less = |x: &Array, zero: Option<&Array>, column: bool| {
        let wide = x.ints().to_vec();
        let Some(zero) = zero else {
            return Ok(Array::ints_of(DType::I64, &x.dims, wide));
        };
        let mut zeros = Array::ints_of(DType::I64, &zero.dims, zero.ints().to_vec());
        if column && zero.dims.len() == 1 {
            zeros.dims.push(1);
        }
        let zeros = repeat(&zeros, &broadcast_dims(&x.dims, &zeros.dims)?);
        let each = wide.iter().zip(zeros.ints()).map(|(a, z)| a - z).collect();
        Ok::<_, String>(Array::ints_of(DType::I64, &x.dims, each))
    };
    let a = less(call.x(0), call.opt(2), true)?;
    let b = less(call.x(1), call.opt(3), false)?;
    let product = matmul(&a, &b)?;
    Ok(Array::ints_of(
        DType::I32,
        &product.dims,
        product.ints().to_vec(),
    ))
}

fn gemm(call: &Call) -> Result<Array, String> {
    let turned = |x: &Array, turn: bool| {
        if !turn {
            return x.clone();
        }
        let (rows, columns) = (x.dims[0], x.dims[1]);
        let at = (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c));
        x.pick(vec![columns, rows], at)
    };
    let a = turned(call.x(0), call.int("transA", 0) == 1);
    let b = turned(call.x(1), call.int("transB", 0) == 1);
    let product = matmul(&a, &b)?;
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let zero = Array::floats_of(a.dtype, &[], vec![0.0]);
    let c = repeat(call.opt(2).unwrap_or(&zero), &product.dims);
    let each = product.floats().iter().zip(c.floats());
    let sums = each.map(|(p, c)| alpha * p + beta * c).collect();
    Ok(Array::floats_of(a.dtype, &product.dims, sums))
}
