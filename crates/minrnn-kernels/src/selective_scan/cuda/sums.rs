//! Sums of the backward pass: over blocks, heads and sequences, each in its order.

use super::super::Size;
use super::Inputs;
use super::grads::{Grads, OP};
use super::tile::{Segments, Tile, blocks, tiled};
use crate::cuda::shape::int;
use crate::cuda::{Call, Gpu, Module, Result, View};

/// Parts of the scratch.
pub(super) struct Parts<'a> {
    pub(super) b: View<'a>,
    pub(super) c: View<'a>,
    pub(super) steps: View<'a>,
    pub(super) rates: View<'a>,
    pub(super) skip: View<'a>,
    pub(super) carry: View<'a>,
    pub(super) ends: View<'a>,
    pub(super) lengths: View<'a>,
}

/// Parts of the scratch of the backward pass: for b, for c, step sizes by channel, rates and skip by segment of a sequence, the gradient
/// that is carried, that which leaves a segment, and sums of its step sizes.
pub(super) fn parts(size: Size) -> [usize; 8] {
    let tile = Tile::new(size, true);
    let (mut sums, mut segments) = (tile.blocks * tile.segment(size), 1);
    if tiled(size) {
        sums = sums.max(blocks(size) * size.time);
        segments = Segments::new(size).count;
    }
    let sums = sums * size.batch * size.read();
    let steps = match size.head_channels() {
        1 => 0,
        _ => size.rows() * size.channels,
    };
    let sequences = size.batch * segments;
    let (channels, states) = (sequences * size.channels, sequences * size.wide());
    let rates = if size.shared { channels } else { states };
    let carry = size.batch * size.wide();
    let (ends, lengths) = match segments {
        1 => (0, 0),
        _ => (states, channels),
    };
    [sums, sums, steps, rates, channels, carry, ends, lengths].map(|len| len.next_multiple_of(4))
}

/// Gradients of b and c in the steps `first` to `past`, of the sums over blocks.
pub(super) fn fold_blocks(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    to: &Grads<'_>,
    parts: &Parts<'_>,
    blocks: usize,
    (first, past): (usize, usize),
) -> Result<()> {
    let (size, op) = (inputs.size, OP);
    let n = size.batch * (past - first) * size.read();
    for (from, to) in [(parts.b, to.b), (parts.c, to.c)] {
        let name = format!("selective_scan_fold_{}", inputs.elem().suffix());
        let call = Call::new(gpu, Module::SelectiveScan, &name)?
            .view(from)
            .view(to.view)
            .i64(to.stride as i64)
            .i32(int(op, "the number of blocks", blocks)?)
            .i32(int(op, "t", size.time)?)
            .i32(int(op, "t", first)?)
            .i32(int(op, "t", past - first)?)
            .i32(int(op, "g * n", size.read())?);
        fold(gpu, call, n)?;
    }
    Ok(())
}

/// Puts a kernel with one thread an element on the stream; `n` is its last argument.
pub(super) fn fold(gpu: &Gpu, call: Call<'_>, n: usize) -> Result<()> {
    let most = gpu.multiprocessors() as usize * 16;
    let grid = n.div_ceil(256).clamp(1, most);
    call.i64(n as i64)
        .launch((grid as u32, 1, 1), (256, 1, 1), 0)
}

/// Sums over the channels of a head, and over sequences or their segments.
pub(super) fn fold_rest(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    to: &Grads<'_>,
    parts: &Parts<'_>,
    sequences: usize,
) -> Result<()> {
    let (size, op) = (inputs.size, OP);
    let heads = int(op, "p", size.head_channels())?;
    if size.head_channels() > 1 {
        let call = Call::new(gpu, Module::SelectiveScan, "selective_scan_fold_heads")?
            .view(parts.steps)
            .view(to.step.view)
            .i64(to.step.stride as i64)
            .i32(int(op, "h", size.heads)?)
            .i32(heads);
        fold(gpu, call, size.rows() * size.heads)?;
    }
    let rows = sequences;
    let sequences = |from: View<'_>, log: Option<View<'_>>, to: View<'_>, times: i32| {
        let call = Call::new(gpu, Module::SelectiveScan, "selective_scan_fold_sequences")?
            .view(from)
            .opt(log)
            .view(to)
            .i32(int(op, "b", rows)?)
            .i32(times);
        fold(gpu, call, to.len())
    };
    let times = if size.shared { heads } else { 1 };
    sequences(parts.rates, Some(inputs.log_rates), to.log_rates, times)?;
    sequences(parts.skip, None, to.skip, heads)
}
