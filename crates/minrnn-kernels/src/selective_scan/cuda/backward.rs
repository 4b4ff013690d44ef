//! Backward: stretches of time, the last one first, each followed by the sums over its blocks.

use super::super::Size;
use super::grads::{Grads, OP, Saved, check};
use super::sums::{Parts, fold_blocks, fold_rest, parts};
use super::tile::Tile;
use super::{Inputs, Rows, tiled};
use crate::cuda::shape::{check_scratch, int};
use crate::cuda::{Gpu, Result, View};

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(size: Size) -> usize {
    parts(size).iter().sum()
}

/// The gradients of [`forward`](super::forward). Sums have a fixed order: the bits are the same on every run.
///
/// That of the step sizes may be written over the step sizes and that of x over dy, row by row with the same stride; otherwise no two may be
/// the same memory. `scratch`: f32, [`scratch_len`].
///
/// # Errors
/// As [`forward`](super::forward); too little scratch.
pub fn backward(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    saved: &Saved<'_>,
    to: &Grads<'_>,
    scratch: View<'_>,
) -> Result<()> {
    let size = inputs.size;
    inputs.check(OP)?;
    check(inputs, saved, to)?;
    check_scratch(OP, scratch, scratch_len(size))?;
    let mut from = 0;
    let parts = parts(size).map(|len| {
        from += len;
        scratch.slice(from - len, len)
    });
    let [b, c, steps, rates, skip, carry, ends, lengths] = parts;
    let parts = Parts {
        b: b?,
        c: c?,
        steps: steps?,
        rates: rates?,
        skip: skip?,
        carry: match to.h0 {
            Some(h0) => h0,
            None => carry?,
        },
        ends: ends?,
        lengths: lengths?,
    };
    if tiled::takes(inputs, &tiled::states_before(saved, parts.carry)) {
        let segments = tiled::backward(gpu, inputs, saved, to, &parts)?;
        return fold_rest(gpu, inputs, to, &parts, size.batch * segments);
    }
    let tile = Tile::new(size, true);
    let segment = tile.segment(size);
    for first in (0..size.time).step_by(segment).rev() {
        let past = (first + segment).min(size.time);
        segment_backward(gpu, inputs, saved, to, &parts, tile, (first, past))?;
    }
    fold_rest(gpu, inputs, to, &parts, size.batch)
}

/// Steps `past - 1` down to `first`, and the gradients of their b and c.
fn segment_backward(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    saved: &Saved<'_>,
    to: &Grads<'_>,
    parts: &Parts<'_>,
    tile: Tile,
    (first, past): (usize, usize),
) -> Result<()> {
    let (size, op) = (inputs.size, OP);
    let dstep = match size.head_channels() {
        1 => to.step,
        _ => Rows {
            view: parts.steps,
            stride: size.channels,
        },
    };
    let call = tile.call(gpu, "bwd", inputs.elem())?;
    inputs
        .arguments(op, call, saved.last.and_then(|last| last.1), tile.blocks)?
        .opt(saved.marks)
        .view(saved.dy)
        .opt(saved.last.map(|last| last.0))
        .view(dstep.view)
        .i64(dstep.stride as i64)
        .view(to.x.view)
        .i64(to.x.stride as i64)
        .view(parts.b)
        .view(parts.c)
        .view(parts.carry)
        .view(parts.rates)
        .view(parts.skip)
        .i32(int(op, "t", first)?)
        .i32(int(op, "t", past)?)
        .launch(
            tile.grid(op, size)?,
            (tile.threads as u32, 1, 1),
            tile.shared(size),
        )?;
    fold_blocks(gpu, inputs, to, parts, tile.blocks, (first, past))
}
