//! What each operator computes: element type, shape, and the entries of short integer vectors.

mod elementwise;
mod layout;
mod reshape;
mod scan;
mod slicing;

pub(super) use elementwise::{arithmetic, float_unary, identity, numeric_unary, signed_unary};
pub(super) use layout::{expand, gather, matmul, pad, reduce_mean, shape, squeeze, unsqueeze};
pub(super) use reshape::reshape;
pub(super) use scan::{scan_inputs, scan_outputs};
pub(super) use slicing::{concat, slice, split};

use super::types::{Fault, Info, fault};
use super::{Expr, Rule};
use crate::ir::{DType, Node, Tensor};

/// Inputs of a node: `None` where one is left out or was found wrong before.
pub(super) type Inputs<'a> = &'a [Option<Info>];

/// Results of a node from its inputs.
pub(super) type Infer = fn(&Node, Inputs) -> Result<Vec<Info>, Fault>;

/// Longer vectors are not followed.
const MAX_CONTENT: usize = 64;

/// The type of a constant.
pub(super) fn constant(tensor: &Tensor) -> Info {
    let dims = tensor.dims.iter().map(|d| Some(Expr::number(*d))).collect();
    let mut info = Info::new(Some(tensor.dtype), Some(dims));
    if tensor.dims.len() <= 1
        && tensor
            .dims
            .iter()
            .all(|d| (0..=MAX_CONTENT as i64).contains(d))
    {
        info.content = tensor
            .to_i64()
            .map(|values| values.into_iter().map(Expr::number).collect());
    }
    info
}

/// The input at `i`, if anything is known of it.
fn get<'a>(inputs: Inputs<'a>, i: usize) -> Option<&'a Info> {
    inputs.get(i).and_then(Option::as_ref)
}

/// Nothing known but the element type.
fn only_type(dtype: Option<DType>) -> Result<Vec<Info>, Fault> {
    Ok(vec![Info::new(dtype, None)])
}

/// Element type of the input at `i`, which must be one of a family.
fn typed(
    inputs: Inputs,
    i: usize,
    wanted: &str,
    fits: impl Fn(DType) -> bool,
) -> Result<Option<DType>, Fault> {
    match get(inputs, i).and_then(|info| info.ty.dtype) {
        Some(d) if !fits(d) => fault(Rule::Type, format!("input {i} is of {d}, wanted {wanted}")),
        d => Ok(d),
    }
}

/// Entries of the integer vector at `i`, if they are all numbers.
fn numbers(inputs: Inputs, i: usize) -> Result<Option<Vec<i64>>, Fault> {
    integers(inputs, i)?;
    let content = get(inputs, i).and_then(|info| info.content.as_ref());
    Ok(content.and_then(|c| c.iter().map(Expr::as_number).collect()))
}

/// The input at `i` must be a vector of i64.
fn integers(inputs: Inputs, i: usize) -> Result<(), Fault> {
    typed(inputs, i, "i64", |d| d == DType::I64)?;
    match get(inputs, i).and_then(Info::rank) {
        Some(rank) if rank != 1 => fault(
            Rule::Shape,
            format!("input {i} must be a vector, its rank is {rank}"),
        ),
        _ => Ok(()),
    }
}

/// An axis, counted from the end if negative, of a value of that rank.
fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let from_end = usize::try_from(axis.unsigned_abs()).unwrap_or(usize::MAX);
    let found = if axis < 0 {
        rank.checked_sub(from_end)
    } else {
        Some(from_end).filter(|a| *a < rank)
    };
    found.map_or_else(
        || {
            fault(
                Rule::Shape,
                format!("there is no axis {axis} in rank {rank}"),
            )
        },
        Ok,
    )
}
