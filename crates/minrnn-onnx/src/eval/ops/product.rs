//! Matrix products: sums in order.

use super::{Array, Call, Done, Fault, Op, alike, broadcast, repeat, smooth, sources};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("MatMul", 7, |c| Ok(vec![matmul(c, c.x(0)?, c.x(1)?)?])),
    smooth("Gemm", 7, gemm),
    smooth("MatMulInteger", 10, integer),
];

/// `[m, k]` times `[k, n]` at places of two arrays.
fn block<T: Copy>(
    x: &[T],
    y: &[T],
    [m, k, n]: [usize; 3],
    zero: T,
    f: impl Fn(T, T, T) -> T,
) -> Vec<T> {
    let mut out = vec![zero; m * n];
    for r in 0..m {
        let row = &mut out[r * n..(r + 1) * n];
        for i in 0..k {
            let a = x[r * k + i];
            let b = &y[i * n..(i + 1) * n];
            row.iter_mut().zip(b).for_each(|(o, b)| *o = f(*o, a, *b));
        }
    }
    out
}

pub(super) fn matmul(call: &Call, a: &Array, b: &Array) -> Result<Array, Fault> {
    alike(a, b)?;
    let (mut x, mut y) = (a.dims().to_vec(), b.dims().to_vec());
    // A vector takes part as a row on the left, as a column on the right.
    if x.len() == 1 {
        x.insert(0, 1);
    }
    if y.len() == 1 {
        y.push(1);
    }
    let wrong = || Fault::Shape(format!("{:?} times {:?}", a.dims(), b.dims()));
    let (batch_x, [m, k]) = x.split_last_chunk::<2>().ok_or_else(wrong)?;
    let (batch_y, [k_y, n]) = y.split_last_chunk::<2>().ok_or_else(wrong)?;
    let sizes @ [m, k, n] = [*m, *k, *n];
    if k != *k_y {
        return Err(wrong());
    }
    let batch = broadcast(&[batch_x, batch_y])?;
    let mut dims = batch.clone();
    if a.dims().len() > 1 {
        dims.push(m);
    }
    if b.dims().len() > 1 {
        dims.push(n);
    }
    let total = call.room(&dims)?;
    call.spend(&[total, k])?;
    let pairs = sources(batch_x, &batch)
        .into_iter()
        .zip(sources(batch_y, &batch));
    Ok(match (a.floats(), b.floats(), a.ints(), b.ints()) {
        (Some(x), Some(y), ..) => {
            let one = |(i, j): (usize, usize)| {
                let (x, y) = (
                    &x[i * m * k..(i + 1) * m * k],
                    &y[j * k * n..(j + 1) * k * n],
                );
                block(x, y, sizes, 0.0, |o, a, b| o + a * b)
            };
            Array::of_floats(a.dtype(), dims, pairs.flat_map(one).collect())
        }
        (.., Some(x), Some(y)) if a.dtype() != DType::Bool => {
            let one = |(i, j): (usize, usize)| {
                let (x, y) = (
                    &x[i * m * k..(i + 1) * m * k],
                    &y[j * k * n..(j + 1) * k * n],
                );
                block(x, y, sizes, 0i128, |o, a, b| {
                    o.wrapping_add(a.wrapping_mul(b))
                })
            };
            Array::of_ints(a.dtype(), dims, pairs.flat_map(one).collect())
        }
        _ => return Err(Fault::Type(format!("no product of {}", a.dtype()))),
    })
}

/// Integers less their zero points: one for all, or one for each entry of an axis.
pub(super) fn less_zero(
    call: &Call,
    x: &Array,
    zero: Option<&Array>,
    axis_from_end: usize,
) -> Result<Array, Fault> {
    let v = x
        .ints()
        .ok_or_else(|| Fault::Type(format!("{} is no integer", x.dtype())))?;
    let wide = |v: Vec<i128>| Array::of_ints(DType::I64, x.dims().to_vec(), v);
    let Some(zero) = zero else {
        return Ok(wide(v.to_vec()));
    };
    alike(x, zero)?;
    let zero = match zero.dims() {
        [n] if *n == 1 => zero.shaped(vec![]),
        [n] => {
            let mut dims = vec![*n];
            dims.extend(vec![1; axis_from_end]);
            zero.shaped(dims)
        }
        _ => zero.clone(),
    };
    let zero = repeat(call, &zero, x.dims())?;
    let zeros = zero.ints().unwrap_or(&[]);
    Ok(wide(v.iter().zip(zeros).map(|(a, z)| a - z).collect()))
}

/// Zero points: one for each row on the left, for each column on the right.
fn integer(call: &Call) -> Done {
    let a = less_zero(call, call.x(0)?, call.opt(2), 1)?;
    let b = less_zero(call, call.x(1)?, call.opt(3), 0)?;
    let product = matmul(call, &a, &b)?;
    let sums = product.ints().unwrap_or(&[]).to_vec();
    Ok(vec![Array::of_ints(
        DType::I32,
        product.dims().to_vec(),
        sums,
    )])
}

fn gemm(call: &Call) -> Done {
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let side = |i: usize, name: &str| -> Result<Array, Fault> {
        let x = call.x(i)?;
        let turn = call.int(name, 0)? != 0;
        match x.dims() {
            [_, _] if turn => Ok(super::layout::turned(x, &[1, 0])),
            [_, _] => Ok(x.clone()),
            dims => Err(Fault::input(i, format!("{dims:?} is no matrix"))),
        }
    };
    let (a, b) = (side(0, "transA")?, side(1, "transB")?);
    let product = matmul(call, &a, &b)?;
    let c = call.opt(2);
    let c = c
        .map(|c| alike(&a, c).and_then(|()| repeat(call, c, product.dims())))
        .transpose()?;
    let one = |i: usize, p: f64, c: &Option<Vec<f64>>| {
        alpha * p + c.as_ref().map_or(0.0, |c| beta * c[i])
    };
    Ok(vec![match (product.floats(), product.ints()) {
        (Some(p), _) => {
            let c = c.map(|c| c.as_floats());
            product.with(p.iter().enumerate().map(|(i, p)| one(i, *p, &c)).collect())
        }
        (_, Some(p)) => {
            let whole = |x: f64, name| match x.fract() == 0.0 {
                true => Ok(x as i128),
                false => Err(Fault::attribute(name, "is no integer, the matrices are")),
            };
            let (alpha, beta) = (whole(alpha, "alpha")?, whole(beta, "beta")?);
            let c = c.as_ref().and_then(|c| c.ints());
            let each = p.iter().enumerate();
            let all = each
                .map(|(i, p)| alpha.wrapping_mul(*p) + c.map_or(0, |c| beta.wrapping_mul(c[i])));
            Array::of_ints(product.dtype(), product.dims().to_vec(), all.collect())
        }
        _ => return Err(Fault::Type("is no number".into())),
    }])
}
