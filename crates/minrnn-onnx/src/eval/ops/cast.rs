//! From one element type to another.

use super::{Array, Call, Done, Fault, Op, smooth};
use crate::eval::number::{int_range, known, round};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("Cast", 7, |c| {
        let to = c
            .dtype("to")?
            .ok_or_else(|| Fault::attribute("to", "is missing"))?;
        given(c, to)
    }),
    smooth("CastLike", 15, |c| given(c, c.x(1)?.dtype())),
    smooth("BitCast", 26, bits),
];

fn given(call: &Call, to: DType) -> Done {
    // Both are about types of 8 bits and less, which are not evaluated.
    if call.opset >= 19 {
        call.flag("saturate", true)?;
    }
    if call.opset >= 24 {
        call.word("round_mode", "up")?;
    }
    let x = call.x(0)?;
    if call.unrounded() && to.is_float() && x.is_float() {
        let dims = x.dims().to_vec();
        return Ok(vec![Array::of_floats(to, dims, x.as_floats())]);
    }
    Ok(vec![cast(x, to)?])
}

/// Floats lose their fraction on the way to integers, and are rounded on the way to floats; what is not zero is true.
pub(in super::super) fn cast(x: &Array, to: DType) -> Result<Array, Fault> {
    if !known(to) {
        return Err(Fault::Elements(to));
    }
    let dims = x.dims().to_vec();
    Ok(match (x.floats(), x.ints()) {
        // To a wider type nothing is rounded: the exact values stay.
        (Some(v), _) if to.is_float() => {
            let narrower =
                to.bits() < x.dtype().bits() || to != x.dtype() && to.bits() == x.dtype().bits();
            let one = |v: &f64| {
                if narrower {
                    round(to, round(x.dtype(), *v))
                } else {
                    *v
                }
            };
            Array::of_floats(to, dims, v.iter().map(one).collect())
        }
        (Some(v), _) if to == DType::Bool => Array::of_bools(dims, v.iter().map(|v| *v != 0.0)),
        (Some(v), _) => {
            let (low, high) = int_range(to).unwrap_or((0, 0));
            let one = |v: &f64| match *v {
                v if v.trunc() >= low as f64 && v.trunc() <= high as f64 && v.is_finite() => {
                    Ok((v as i128).clamp(low, high))
                }
                v => Err(Fault::Value(format!(
                    "{v} as {to}: the standard does not say what it is"
                ))),
            };
            let all: Result<_, _> = v.iter().map(one).collect();
            Array::of_ints(to, dims, all?)
        }
        (_, Some(v)) if to.is_float() => {
            Array::of_floats(to, dims, v.iter().map(|n| round(to, *n as f64)).collect())
        }
        (_, Some(v)) => Array::of_ints(to, dims, v.to_vec()),
        _ => return Err(Fault::Elements(x.dtype())),
    })
}

fn bits(call: &Call) -> Done {
    let x = call.x(0)?;
    let to = call
        .dtype("to")?
        .ok_or_else(|| Fault::attribute("to", "is missing"))?;
    if to.bits() != x.dtype().bits() {
        return Err(Fault::attribute(
            "to",
            format!("{to} has not as many bits as {}", x.dtype()),
        ));
    }
    Ok(vec![Array::from_bytes(to, x.dims(), &x.to_bytes())?])
}
