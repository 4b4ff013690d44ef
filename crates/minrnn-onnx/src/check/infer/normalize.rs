//! Normalisation over the last axes.

use super::elementwise::broadcast_to;
use super::layout::one_axis;
use super::{Call, Found};
use crate::check::types::{Fault, Info, fault};
use crate::check::{Expr, Rule};
use crate::ir::DType;

/// The type that the standard computes in: `stash_type`, f32 or bf16.
fn stash(call: &Call) -> Result<DType, Fault> {
    match call.int("stash_type", 1) {
        1 => Ok(DType::F32),
        16 => Ok(DType::BF16),
        n => fault(
            Rule::Attribute,
            format!("stash_type {n} is not defined, only 1 (f32) and 16 (bf16)"),
        ),
    }
}

/// Scale and bias must be repeatable to the axes that are normalised.
fn parameters(call: &Call, names: &[&str]) -> Result<Option<usize>, Fault> {
    let at = one_axis(call, -1)?;
    if let Some(dims) = call.dims(0) {
        for (i, name) in names.iter().enumerate() {
            if let Some(given) = call.dims(i + 1) {
                broadcast_to(given, dims, name)?;
            }
        }
    }
    Ok(at)
}

pub(in crate::check) fn layer_normalization(call: &Call) -> Found {
    let stash = stash(call)?;
    let at = parameters(call, &["Scale", "B"])?;
    let whole = call.dims(0).map(<[_]>::to_vec);
    let reduced = whole.clone().zip(at).map(|(mut dims, at)| {
        dims[at..].fill(Some(Expr::number(1)));
        dims
    });
    let mut found = vec![Info::new(call.out[0], whole)];
    found.extend((1..call.out.len()).map(|_| Info::new(Some(stash), reduced.clone())));
    Ok(found)
}

pub(in crate::check) fn rms_normalization(call: &Call) -> Found {
    stash(call)?;
    // The signature says that the result has the type of the scale, the standard's own inference that of the values.
    if let (Some(x), Some(scale)) = (call.dtype(0), call.dtype(1))
        && x != scale
    {
        return fault(
            Rule::Type,
            format!(
                "the values are of {x}, scale of {scale}: the standard contradicts itself on the result"
            ),
        );
    }
    parameters(call, &["scale"])?;
    Ok(vec![Info::new(
        call.out[0],
        call.dims(0).map(<[_]>::to_vec),
    )])
}
