//! What the backward pass reads and writes.

use super::{Inputs, Rows, check_last};
use crate::Elem;
use crate::cuda::shape::need_opt;
use crate::cuda::{CudaError, Result, View, need};

pub(super) const OP: &str = "selective_scan backward";

/// What [`backward`](super::backward) reads beside the inputs.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'a> {
    /// As [`forward`](super::forward) wrote them; absent where there are none.
    pub marks: Option<View<'a>>,
    /// The gradient of y, of its type.
    pub dy: View<'a>,
    /// The gradient of the last states, if there is one, and the steps of each sequence.
    pub last: Option<(View<'a>, Option<View<'a>>)>,
}

/// Where gradients go, each of the type and shape of what it belongs to; rows may have gaps.
#[derive(Debug, Clone, Copy)]
pub struct Grads<'a> {
    /// Of the step sizes.
    pub step: Rows<'a>,
    /// Of x.
    pub x: Rows<'a>,
    /// Of b.
    pub b: Rows<'a>,
    /// Of c.
    pub c: Rows<'a>,
    /// Of A_log.
    pub log_rates: View<'a>,
    /// Of the skip.
    pub skip: View<'a>,
    /// Of h0, if it is wanted.
    pub h0: Option<View<'a>>,
}

pub(super) fn check(inputs: &Inputs<'_>, saved: &Saved<'_>, to: &Grads<'_>) -> Result<()> {
    let (size, op) = (inputs.size, OP);
    let (rows, own) = (size.rows(), &[inputs.elem()]);
    let f32s = &[Elem::F32];
    need(op, "dy", saved.dy, own, rows * size.channels)?;
    match saved.marks {
        Some(marks) => need(op, "marks", marks, f32s, size.marks())?,
        None if size.marks() > 0 => {
            let problem = format!("needs the {} marks of the forward pass", size.marks());
            return Err(CudaError::Value { op, problem });
        }
        None => {}
    }
    check_last(op, saved.last, size)?;
    to.step.need(op, "dstep", f32s, rows, size.heads)?;
    to.x.need(op, "dx", own, rows, size.channels)?;
    to.b.need(op, "db", own, rows, size.read())?;
    to.c.need(op, "dc", own, rows, size.read())?;
    need(op, "dlog_rates", to.log_rates, f32s, size.rates())?;
    need(op, "dskip", to.skip, f32s, size.heads)?;
    need_opt(op, "dh0", to.h0, f32s, size.batch * size.wide())
}
