//! To integers of few bits, and back.

use super::elementwise::repeat;
use super::{Array, Call, Done, at};
use crate::ir::DType;

pub(super) fn apply(call: &Call) -> Option<Done> {
    let one = match call.node.op_type.as_str() {
        "QuantizeLinear" => quantize(call),
        "DequantizeLinear" => dequantize(call),
        "DynamicQuantizeLinear" => return Some(dynamic(call)),
        _ => return None,
    };
    Some(one.map(|a| vec![a]))
}

/// Scales or zero points, one for each element of `x`.
fn spread(call: &Call, given: &Array) -> Array {
    let x = call.x(0);
    let (rank, block) = (x.dims.len(), call.int("block_size", 0) as usize);
    if given.len() == 1 {
        return repeat(&given.shaped(vec![]), &x.dims);
    }
    let axis = if rank == 1 {
        0
    } else {
        at(call.int("axis", 1), rank)
    };
    if block > 0 {
        let inner: usize = x.dims[axis + 1..].iter().product();
        let (size, blocks) = (x.dims[axis], given.dims[axis]);
        let source = |flat: usize| {
            let (outer, along, rest) = (flat / inner / size, flat / inner % size, flat % inner);
            (outer * blocks + along / block) * inner + rest
        };
        return given.pick(x.dims.clone(), (0..x.len()).map(source));
    }
    let mut dims = vec![1; rank];
    dims[axis] = given.len();
    repeat(&given.shaped(dims), &x.dims)
}

/// Smallest and largest value of a type.
fn limits(dtype: DType) -> (f32, f32) {
    match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        other => panic!("{other} is not quantised to"),
    }
}

/// `saturate(round(x / scale) + zero)`, ties to even.
fn quantize(call: &Call) -> Result<Array, String> {
    let x = call.x(0);
    let asked = i32::try_from(call.int("output_dtype", 0))
        .ok()
        .and_then(DType::from_code);
    let dtype = call.opt(2).map(|z| z.dtype).or(asked).unwrap_or(DType::U8);
    let scales = spread(call, call.x(1));
    let zeros = call.opt(2).map(|z| spread(call, z));
    let (low, high) = limits(dtype);
    let one = |(i, v): (usize, &f32)| {
        let zero = zeros.as_ref().map_or(0, |z| z.ints()[i]) as f32;
        ((v / scales.floats()[i]).round_ties_even() + zero).clamp(low, high) as i64
    };
    let all = x.floats().iter().enumerate().map(one).collect();
    Ok(Array::ints_of(dtype, &x.dims, all))
}

/// `(x - zero) * scale`
fn dequantize(call: &Call) -> Result<Array, String> {
    let x = call.x(0);
    let scales = spread(call, call.x(1));
    let zeros = call.opt(2).map(|z| spread(call, z));
    let one = |(i, v): (usize, &i64)| {
        let zero = zeros.as_ref().map_or(0, |z| z.ints()[i]);
        (v - zero) as f32 * scales.floats()[i]
    };
    let asked = i32::try_from(call.int("output_dtype", 0))
        .ok()
        .and_then(DType::from_code);
    let all = x.ints().iter().enumerate().map(one).collect();
    Ok(Array::floats_of(
        asked.unwrap_or(scales.dtype),
        &x.dims,
        all,
    ))
}

fn dynamic(call: &Call) -> Done {
    let x = call.x(0);
    let low = x.floats().iter().fold(0.0f32, |m, v| m.min(*v));
    let high = x.floats().iter().fold(0.0f32, |m, v| m.max(*v));
    let scale = (high - low) / 255.0;
    let zero = (-low / scale).round_ties_even().clamp(0.0, 255.0);
    let one = |v: &f32| ((v / scale).round_ties_even() + zero).clamp(0.0, 255.0) as i64;
    Ok(vec![
        Array::ints_of(DType::U8, &x.dims, x.floats().iter().map(one).collect()),
        Array::f32(&[], vec![scale]),
        Array::ints_of(DType::U8, &[], vec![zero as i64]),
    ])
}
