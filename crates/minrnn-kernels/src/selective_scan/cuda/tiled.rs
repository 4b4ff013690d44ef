//! The scan of `tiled.cuh`: channels with 16 states and a step size of their own.

use super::super::Size;
use super::grads::{self, Grads, Saved};
use super::sums::{Parts, fold, fold_blocks};
use super::tile::{CHANNELS, STATES, STRETCH, Segments, blocks, tiled as is_tiled};
use super::{Inputs, OP, Out};
use crate::Elem;
use crate::cuda::shape::{aligned, blocks as checked_blocks, int, product};
use crate::cuda::{Call, Gpu, Module, Result, View};

/// Whether rows are aligned too, and `states`, so that four channels, or states, can be read at once.
pub(super) fn takes(inputs: &Inputs<'_>, states: &[View<'_>]) -> bool {
    let whole = |view: &View<'_>| view.address().is_multiple_of(4 * view.elem().size() as u64);
    let rows = [inputs.step, inputs.x, inputs.b, inputs.c];
    is_tiled(inputs.size)
        && rows
            .iter()
            .all(|rows| rows.stride.is_multiple_of(4) && whole(&rows.view))
        && inputs.h0.is_none_or(|h0| aligned(&[h0]))
        && states.iter().all(whole)
}

/// What the forward pass writes states to.
pub(super) fn states_of<'a>(out: &Out<'a>) -> Vec<View<'a>> {
    out.marks
        .into_iter()
        .chain(out.last.map(|last| last.0))
        .collect()
}

/// What the backward pass reads and writes in fours.
pub(super) fn states_before<'a>(saved: &Saved<'a>, carry: View<'a>) -> Vec<View<'a>> {
    let dlast = saved.last.map(|last| last.0);
    let some = [Some(saved.dy), Some(carry), saved.marks, dlast];
    some.into_iter().flatten().collect()
}

/// Bytes of shared memory of a stretch: `Steps`, `Shared`, and, as sums of them, the rest.
fn bytes(steps: &[Elem], shared: &[Elem]) -> usize {
    let sum = |elems: &[Elem], width| {
        elems
            .iter()
            .map(|e| e.size() * STRETCH * width)
            .sum::<usize>()
    };
    sum(steps, CHANNELS) + sum(shared, STATES)
}

/// A kernel with the arguments that all of them take first.
fn call<'g>(
    gpu: &'g Gpu,
    op: &'static str,
    name: &str,
    inputs: &Inputs<'_>,
    lens: Option<View<'_>>,
    segments: Segments,
) -> Result<Call<'g>> {
    let name = format!("selective_scan_{name}_{}_tiled", inputs.elem().suffix());
    let call = Call::new(gpu, Module::SelectiveScan, &name)?;
    Ok(inputs
        .arguments(op, call, lens, blocks(inputs.size))?
        .i32(int(op, "the number of segments", segments.count)?)
        .i32(int(op, "the length of segments", segments.length)?))
}

fn grid(op: &'static str, size: Size, segments: Segments) -> Result<(u32, u32, u32)> {
    let all = product(op, &[size.batch, size.groups, blocks(size), segments.count])?;
    Ok((checked_blocks(op, all)?, 1, 1))
}

const BLOCK: (u32, u32, u32) = (CHANNELS as u32, 1, 1);

/// As [`super::forward`], which has checked all.
pub(super) fn forward(gpu: &Gpu, inputs: &Inputs<'_>, out: &Out<'_>) -> Result<()> {
    let size = inputs.size;
    let marks = out.marks.filter(|marks| !marks.is_empty());
    let own = inputs.elem();
    let fed = bytes(&[Elem::F32, own], &[own]);
    // What segments begin with lies among the marks.
    let segments = match marks {
        Some(_) => Segments::new(size),
        None => Segments::whole(size),
    };
    let (grid, lens) = (grid(OP, size, segments)?, out.last.and_then(|last| last.1));
    if let (Some(marks), true) = (marks, segments.count > 1) {
        call(gpu, OP, "fwd_ends", inputs, lens, segments)?
            .view(marks)
            .launch(grid, BLOCK, 2 * fed as u32)?;
        let join = Call::new(gpu, Module::SelectiveScan, "selective_scan_fwd_join")?
            .view(inputs.log_rates)
            .opt(inputs.h0)
            .view(marks)
            .i32(int(OP, "t", size.time)?)
            .i32(int(OP, "the number of segments", segments.count)?)
            .i32(int(OP, "the length of segments", segments.length)?)
            .i32(int(OP, "d * n", size.wide())?);
        fold(gpu, join, size.batch * size.wide())?;
    }
    call(gpu, OP, "fwd", inputs, lens, segments)?
        .view(out.y)
        .opt(out.last.map(|last| last.0))
        .opt(marks)
        .launch(grid, BLOCK, 2 * (fed + bytes(&[], &[own])) as u32)
}

/// The gradients of [`super::backward`] but for what is summed over sequences, and the number of segments that these sums have.
pub(super) fn backward(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    saved: &Saved<'_>,
    to: &Grads<'_>,
    parts: &Parts<'_>,
) -> Result<usize> {
    let (size, op, own) = (inputs.size, grads::OP, inputs.elem());
    let segments = Segments::new(size);
    let (grid, lens) = (
        grid(op, size, segments)?,
        saved.last.and_then(|last| last.1),
    );
    let dlast = saved.last.map(|last| last.0);
    if segments.count > 1 {
        let shared = 2 * bytes(&[Elem::F32, own], &[own]);
        call(gpu, op, "bwd_ends", inputs, lens, segments)?
            .view(saved.dy)
            .opt(dlast)
            .view(parts.ends)
            .view(parts.lengths)
            .launch(grid, BLOCK, shared as u32)?;
        let join = Call::new(gpu, Module::SelectiveScan, "selective_scan_bwd_join")?
            .view(inputs.log_rates)
            .view(parts.ends)
            .view(parts.lengths)
            .i32(int(op, "the number of segments", segments.count)?)
            .i32(int(op, "d * n", size.wide())?);
        fold(gpu, join, size.batch * size.wide())?;
    }
    let before = 3 * CHANNELS * STATES * Elem::F32.size();
    let shared = 2 * bytes(&[Elem::F32, own], &[own]) + bytes(&[own], &[own]) + before;
    call(gpu, op, "bwd", inputs, lens, segments)?
        .opt(saved.marks)
        .view(saved.dy)
        .opt(dlast)
        .view(to.step.view)
        .i64(to.step.stride as i64)
        .view(to.x.view)
        .i64(to.x.stride as i64)
        .view(parts.b)
        .view(parts.c)
        .view(parts.carry)
        .view(parts.rates)
        .view(parts.skip)
        .view(parts.ends)
        .launch(grid, BLOCK, shared as u32)?;
    fold_blocks(gpu, inputs, to, parts, blocks(size), (0, size.time))?;
    Ok(segments.count)
}
