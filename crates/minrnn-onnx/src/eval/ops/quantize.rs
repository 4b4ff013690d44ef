//! To integers of few bits, and back.

use super::product::{less_zero, matmul};
use super::{Array, Call, Done, Fault, Kind, Op, axis, op, repeat, smooth};
use crate::eval::number::{int_range, round};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("QuantizeLinear", 10, quantize),
    smooth("DequantizeLinear", 10, dequantize),
    op("DynamicQuantizeLinear", 11, Kind::Smooth, dynamic),
    smooth("QLinearMatMul", 10, qlinear_matmul),
];

/// Scales or zero points, one for each element of `x`.
fn spread(call: &Call, given: &Array) -> Result<Array, Fault> {
    let x = call.x(0)?;
    let rank = x.dims().len();
    let at = if call.opset >= 13 {
        call.int("axis", 1)?
    } else {
        1
    };
    let block = if call.opset >= 21 {
        call.opt_size("block_size")?.unwrap_or(0)
    } else {
        0
    };
    if given.len() == 1 && block == 0 {
        return repeat(call, &given.shaped(vec![]), x.dims());
    }
    let at = if rank == 1 { 0 } else { axis(at, rank)? };
    if block > 0 {
        let mut wanted = x.dims().to_vec();
        wanted[at] = wanted[at].div_ceil(block);
        if given.dims() != wanted {
            return Err(Fault::Shape(format!(
                "{:?} for blocks, wanted {wanted:?}",
                given.dims()
            )));
        }
        let inner: usize = x.dims()[at + 1..].iter().product();
        let (size, blocks) = (x.dims()[at], wanted[at]);
        let source = |flat: usize| {
            let (outer, along, rest) = (flat / inner / size, flat / inner % size, flat % inner);
            (outer * blocks + along / block) * inner + rest
        };
        return Ok(given.pick(x.dims().to_vec(), (0..x.len()).map(source)));
    }
    if given.dims() != [x.dims()[at]] {
        return Err(Fault::Shape(format!(
            "{:?} for axis {at} of {:?}",
            given.dims(),
            x.dims()
        )));
    }
    let mut dims = vec![1; rank];
    dims[at] = given.len();
    repeat(call, &given.shaped(dims), x.dims())
}

fn zeros(call: &Call, dtype: DType) -> Result<Option<Array>, Fault> {
    let Some(z) = call.opt(2) else {
        return Ok(None);
    };
    if z.dtype() != dtype {
        return Err(Fault::input(
            2,
            format!("is of type {}, wanted {dtype}", z.dtype()),
        ));
    }
    spread(call, z).map(Some)
}

/// `saturate(round(x / scale) + zero)`, ties to even; the quotient is one of the type in which it is computed.
fn quantize(call: &Call) -> Done {
    let (x, scale) = (call.x(0)?, call.x(1)?);
    let asked = if call.opset >= 21 {
        call.dtype("output_dtype")?
    } else {
        None
    };
    let precision = if call.opset >= 23 {
        call.dtype("precision")?
    } else {
        None
    };
    if call.opset >= 19 {
        // About 8-bit floats, which are not evaluated.
        call.flag("saturate", true)?;
    }
    let dtype = call.opt(2).map(Array::dtype).or(asked).unwrap_or(DType::U8);
    if asked.is_some_and(|a| a != dtype) {
        return Err(Fault::attribute(
            "output_dtype",
            "is not the type of the zero point",
        ));
    }
    let (low, high) = int_range(dtype).ok_or(Fault::Elements(dtype))?;
    let scales = spread(call, scale)?.as_floats();
    let zero = zeros(call, dtype)?;
    let zero = zero.as_ref().and_then(Array::ints);
    let within = precision.unwrap_or(if scale.is_float() {
        scale.dtype()
    } else {
        DType::F32
    });
    let one = |(i, v): (usize, f64)| {
        let steps = round(within, v / scales[i]).round_ties_even();
        match steps.is_nan() {
            true => Err(Fault::Value("what is no number, quantised".into())),
            false => Ok((steps as i128)
                .saturating_add(zero.map_or(0, |z| z[i]))
                .clamp(low, high)),
        }
    };
    let all: Result<_, _> = x.as_floats().into_iter().enumerate().map(one).collect();
    Ok(vec![Array::of_ints(dtype, x.dims().to_vec(), all?)])
}

/// `(x - zero) * scale`
fn dequantize(call: &Call) -> Done {
    let x = call.x(0)?;
    let v = call.ints(0)?;
    let asked = if call.opset >= 23 {
        call.dtype("output_dtype")?
    } else {
        None
    };
    let scale = call.x(1)?;
    let scales = spread(call, scale)?.as_floats();
    let zero = zeros(call, x.dtype())?;
    let zero = zero.as_ref().and_then(Array::ints);
    let one = |(i, n): (usize, &i128)| (n - zero.map_or(0, |z| z[i])) as f64 * scales[i];
    let all = v.iter().enumerate().map(one).collect();
    let dtype = asked.unwrap_or(scale.dtype());
    if !dtype.is_float() {
        return Err(Fault::Elements(dtype));
    }
    Ok(vec![Array::of_floats(dtype, x.dims().to_vec(), all)])
}

/// Scale and zero point from the range of the values, which 0 is part of; in f32.
fn dynamic(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let low = v.iter().fold(0.0f64, |m, v| m.min(*v));
    let high = v.iter().fold(0.0f64, |m, v| m.max(*v));
    let exact = (high - low) / 255.0;
    let scale = round(DType::F32, round(DType::F32, high - low) / 255.0);
    let quotient = |v: f64| {
        if scale == 0.0 {
            0.0
        } else {
            round(DType::F32, v / scale)
        }
    };
    let zero = quotient(-low).round_ties_even().clamp(0.0, 255.0);
    let one = |v: &f64| (quotient(*v).round_ties_even() + zero).clamp(0.0, 255.0) as i128;
    Ok(vec![
        Array::of_ints(DType::U8, x.dims().to_vec(), v.iter().map(one).collect()),
        Array::of_floats(DType::F32, vec![], vec![exact]),
        Array::of_ints(DType::U8, vec![], vec![zero as i128]),
    ])
}

/// Sums of products of integers, scaled by what `at` gives for each element, as integers of the zero point's type.
pub(super) fn requantize(
    sums: &Array,
    at: impl Fn(usize) -> f64,
    zero: &Array,
) -> Result<Array, Fault> {
    let (Some([z]), Some(v)) = (zero.ints(), sums.ints()) else {
        return Err(Fault::Type(
            "the zero point of the result is one integer".into(),
        ));
    };
    let (low, high) = int_range(zero.dtype()).unwrap_or((0, 0));
    let one = |(i, n): (usize, &i128)| {
        ((*n as f64 * at(i)).round_ties_even() as i128 + z).clamp(low, high)
    };
    let all = v.iter().enumerate().map(one).collect();
    Ok(Array::of_ints(zero.dtype(), sums.dims().to_vec(), all))
}

fn qlinear_matmul(call: &Call) -> Done {
    let a = less_zero(call, call.x(0)?, call.opt(2), 1)?;
    let b = less_zero(call, call.x(3)?, call.opt(5), 0)?;
    let product = matmul(call, &a, &b)?;
    let dims = product.dims();
    let rows = |i: usize, column: bool| -> Result<Vec<f64>, Fault> {
        let s = call.x(i)?;
        let s = match s.dims() {
            [1] => s.shaped(vec![]),
            [n] if !column => s.shaped(vec![*n, 1]),
            _ => s.clone(),
        };
        Ok(repeat(call, &s, dims)?.as_floats())
    };
    let (sa, sb, sy) = (rows(1, false)?, rows(4, true)?, call.one_float(6)?);
    Ok(vec![requantize(
        &product,
        |i| sa[i] * sb[i] / sy,
        call.x(7)?,
    )?])
}
