//! To integers of few bits, and back.

use super::{Call, Found, axis, dims_text};
use crate::check::types::{Extent, Fault, Info, fault, same};
use crate::check::{Expr, Rule};
use crate::ir::DType;

fn number(extent: &Extent) -> Option<i64> {
    extent.as_ref().and_then(Expr::as_number)
}

/// Scales: one, one for each entry of an axis, or one for each block of an axis.
fn scales(call: &Call) -> Result<(), Fault> {
    let block = call.int("block_size", 0);
    if block < 0 {
        return fault(Rule::Attribute, format!("block_size is {block}"));
    }
    let (Some(x), Some(scale)) = (call.dims(0), call.dims(1)) else {
        return Ok(());
    };
    let wrong = |why: &str| {
        let (scale, x) = (dims_text(scale), dims_text(x));
        fault(Rule::Shape, format!("scales {scale} for {x}: {why}"))
    };
    match scale {
        [] => {}
        [one] if block == 0 && number(one) == Some(1) => {}
        [each] if block == 0 => {
            // A vector has one axis, whatever the attribute's default says.
            let at = if x.len() == 1 {
                0
            } else {
                axis(call.int("axis", 1), x.len())?
            };
            if same(each, &x[at]).is_none() {
                return wrong("wanted one for each entry of the axis");
            }
        }
        _ if block == 0 => return wrong("wanted one, or a vector of them, without block_size"),
        _ if scale.len() != x.len() => return wrong("blocks need the rank of the values"),
        _ => {
            let at = axis(call.int("axis", 1), x.len())?;
            for (i, (s, d)) in scale.iter().zip(x).enumerate() {
                let fits = match (number(s), number(d)) {
                    (Some(s), Some(d)) if i == at => blocks(d, block) == Some(s),
                    _ if i == at => true,
                    _ => same(s, d).is_some(),
                };
                if !fits {
                    return wrong("the blocks do not fill the axis");
                }
            }
        }
    }
    let Some(zero) = call.dims(2) else {
        return Ok(());
    };
    let fits =
        zero.len() == scale.len() && zero.iter().zip(scale).all(|(z, s)| same(z, s).is_some());
    if fits {
        return Ok(());
    }
    let (zero, scale) = (dims_text(zero), dims_text(scale));
    fault(
        Rule::Shape,
        format!("zero points {zero} beside scales {scale}: wanted one shape"),
    )
}

/// `ceil(size / block)`
fn blocks(size: i64, block: i64) -> Option<i64> {
    Some(size.checked_add(block.checked_sub(1)?)? / block)
}

/// The attribute `output_dtype`, 0 when it says nothing.
fn output_dtype(call: &Call) -> Result<Option<DType>, Fault> {
    match call.int("output_dtype", 0) {
        0 => Ok(None),
        code => match i32::try_from(code).ok().and_then(DType::from_code) {
            None => fault(
                Rule::Attribute,
                format!("output_dtype {code} is no element type"),
            ),
            known => Ok(known),
        },
    }
}

fn result(call: &Call, dtype: Option<DType>) -> Found {
    Ok(vec![Info::new(dtype, call.dims(0).map(<[_]>::to_vec))])
}

pub(in crate::check) fn quantize(call: &Call) -> Found {
    call.flag("saturate", true)?;
    scales(call)?;
    // The zero point gives the type.
    match (output_dtype(call)?, call.out[0]) {
        (Some(wanted), Some(zero)) if wanted != zero => fault(
            Rule::Type,
            format!("output_dtype is {wanted}, the zero point is of {zero}"),
        ),
        (Some(wanted), _) => result(call, Some(wanted)),
        (None, None) if !call.given(2) => result(call, Some(DType::U8)),
        (None, dtype) => result(call, dtype),
    }
}

pub(in crate::check) fn dequantize(call: &Call) -> Found {
    scales(call)?;
    if call.dtype(0) == Some(DType::I32)
        && call.given(2)
        && call
            .content(2)
            .is_some_and(|c| c.iter().any(|e| e.as_number() != Some(0)))
    {
        return fault(Rule::Type, "i32 has no zero point other than 0");
    }
    let dtype = output_dtype(call)?
        .or(call.out[0])
        .or_else(|| call.dtype(1));
    result(call, dtype)
}

pub(in crate::check) fn dynamic_quantize(call: &Call) -> Found {
    let shape = |i: usize| match i {
        0 => call.dims(0).map(<[_]>::to_vec),
        _ => Some(vec![]),
    };
    Ok((0..call.out.len())
        .map(|i| Info::new(call.out[i], shape(i)))
        .collect())
}
