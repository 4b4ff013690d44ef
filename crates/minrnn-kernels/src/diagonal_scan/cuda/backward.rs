//! Backward: all of time in one launch, then sums over sequences, from which the gradients of the parameters follow.

use super::super::Size;
use super::tile::Tile;
use super::{Inputs, check_last, coefficients_len, each};
use crate::Elem;
use crate::cuda::shape::{check_scratch, int, need_opt};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const BACKWARD: &str = "diagonal_scan backward";

/// What [`backward`] reads beside the inputs.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'a> {
    /// As [`forward`](super::forward) wrote them; absent where there are none.
    pub marks: Option<View<'a>>,
    /// The gradient of y, of its type.
    pub dy: View<'a>,
    /// The gradient of the last states, if there is one, and the steps of each sequence.
    pub last: Option<(View<'a>, Option<View<'a>>)>,
}

/// Where gradients go, each of the type and shape of what it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Grads<'a> {
    /// Of x.
    pub x: View<'a>,
    /// Of `log_dt`.
    pub log_step: View<'a>,
    /// Of `A_log`.
    pub log_rates: View<'a>,
    /// Of `A_im`.
    pub frequencies: View<'a>,
    /// Of C.
    pub readout: View<'a>,
    /// Of the skip.
    pub skip: View<'a>,
    /// Of h0, if it is wanted.
    pub h0: Option<View<'a>>,
}

/// Parts of the scratch of the backward pass: the coefficients; their gradients and that of the skip by sequence; that of the step size by
/// state.
fn parts(size: Size) -> [usize; 4] {
    let coefficients = coefficients_len(size);
    [
        coefficients,
        size.batch * coefficients,
        size.batch * size.channels,
        size.wide(),
    ]
}

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(size: Size) -> usize {
    parts(size).iter().sum()
}

/// The gradients of [`forward`](super::forward). Sums have a fixed order: the bits are the same on every run.
///
/// No two may be the same memory. `scratch`: f32, [`scratch_len`].
///
/// # Errors
/// As [`forward`](super::forward).
pub fn backward(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    saved: &Saved<'_>,
    to: &Grads<'_>,
    scratch: View<'_>,
) -> Result<()> {
    let (size, op) = (inputs.size, BACKWARD);
    inputs.check(op)?;
    check_backward(inputs, saved, to)?;
    check_scratch(op, scratch, scratch_len(size))?;
    let mut from = 0;
    let [coefficients, sums, skips, steps] = parts(size).map(|len| {
        from += len;
        scratch.slice(from - len, len)
    });
    let (coefficients, sums, skips, steps) = (coefficients?, sums?, skips?, steps?);
    inputs.coefficients(gpu, op, coefficients)?;
    let tile = Tile::new(size);
    let call = tile.call(gpu, "bwd", inputs.elem())?;
    let lens = saved.last.and_then(|last| last.1);
    inputs
        .arguments(op, call, coefficients, lens, tile)?
        .opt(saved.marks)
        .view(saved.dy)
        .opt(saved.last.map(|last| last.0))
        .view(to.x)
        .opt(to.h0)
        .view(sums)
        .view(skips)
        .launch(
            tile.grid(op, size)?,
            (tile.threads as u32, 1, 1),
            tile.shared(),
        )?;
    fold(gpu, inputs, to, [sums, skips, steps])
}

fn check_backward(inputs: &Inputs<'_>, saved: &Saved<'_>, to: &Grads<'_>) -> Result<()> {
    let (size, op) = (inputs.size, BACKWARD);
    let (rows, own) = (size.rows() * size.channels, &[inputs.elem()]);
    let f32s = &[Elem::F32];
    need(op, "dy", saved.dy, own, rows)?;
    match saved.marks {
        Some(marks) => need(op, "marks", marks, f32s, size.marks())?,
        None if size.marks() > 0 => {
            let problem = format!("needs the {} marks of the forward pass", size.marks());
            return Err(CudaError::Value { op, problem });
        }
        None => {}
    }
    check_last(op, saved.last, size)?;
    need(op, "dx", to.x, own, rows)?;
    let [step, rates, frequencies, readout, skip] = size.parameters();
    need(op, "dlog_step", to.log_step, f32s, step)?;
    need(op, "dlog_rates", to.log_rates, f32s, rates)?;
    need(op, "dfrequencies", to.frequencies, f32s, frequencies)?;
    need(op, "dreadout", to.readout, f32s, readout)?;
    need(op, "dskip", to.skip, f32s, skip)?;
    need_opt(op, "dh0", to.h0, f32s, size.batch * size.state())
}

/// Sums over sequences, and what they are to the parameters.
fn fold(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    to: &Grads<'_>,
    [sums, skips, steps]: [View<'_>; 3],
) -> Result<()> {
    let (size, op) = (inputs.size, BACKWARD);
    let (batch, pairs) = (int(op, "b", size.batch)?, int(op, "n / 2", size.pairs)?);
    let call = Call::new(gpu, Module::DiagonalScan, "diagonal_scan_fold")?
        .view(sums)
        .view(inputs.log_step)
        .view(inputs.log_rates)
        .view(inputs.frequencies)
        .view(to.log_rates)
        .view(to.frequencies)
        .view(to.readout)
        .view(steps)
        .i32(batch)
        .i32(pairs);
    each(gpu, call, size.wide())?;
    let call = Call::new(gpu, Module::DiagonalScan, "diagonal_scan_fold_channels")?
        .view(steps)
        .view(skips)
        .view(to.log_step)
        .view(to.skip)
        .i32(batch)
        .i32(pairs);
    each(gpu, call, size.channels)
}
