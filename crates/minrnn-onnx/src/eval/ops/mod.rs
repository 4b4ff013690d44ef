//! Operators.

mod elementwise;
mod layout;
mod make;
mod product;
mod quantize;
mod reduce;

use super::Array;
use super::array::Data;
use crate::ir::{Attr, Node};
pub(super) use layout::{concat, insert_axis, take};

/// A node and its inputs.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) opset: i64,
    pub(super) inputs: Vec<Option<&'a Array>>,
}

type Done = Result<Vec<Array>, String>;

impl<'a> Call<'a> {
    fn x(&self, i: usize) -> &'a Array {
        self.opt(i).unwrap_or_else(|| panic!("no input {i}"))
    }

    fn opt(&self, i: usize) -> Option<&'a Array> {
        self.inputs.get(i).copied().flatten()
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.int(name).unwrap_or(default)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        match self.node.attr(name) {
            Some(Attr::Float(v)) => *v,
            _ => default,
        }
    }

    fn word(&self, name: &str, default: &str) -> String {
        match self.node.attr(name) {
            Some(Attr::Str(v)) => String::from_utf8_lossy(v).into_owned(),
            _ => default.to_owned(),
        }
    }

    /// The attribute `axis` of the first input.
    fn axis(&self, default: i64) -> usize {
        at(self.int("axis", default), self.x(0).dims.len())
    }
}

/// An axis that may count from the end.
fn at(axis: i64, rank: usize) -> usize {
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len())
        .map(|i| dims[i + 1..].iter().product())
        .collect()
}

/// Where the element at a flat index is.
fn position(flat: usize, dims: &[usize]) -> Vec<usize> {
    let steps = strides(dims);
    (0..dims.len()).map(|i| flat / steps[i] % dims[i]).collect()
}

pub(super) fn apply(call: &Call) -> Done {
    elementwise::apply(call)
        .or_else(|| layout::apply(call))
        .or_else(|| product::apply(call))
        .or_else(|| reduce::apply(call))
        .or_else(|| quantize::apply(call))
        .or_else(|| make::apply(call))
        .unwrap_or_else(|| panic!("{} is not evaluated", call.node.op_type))
}
