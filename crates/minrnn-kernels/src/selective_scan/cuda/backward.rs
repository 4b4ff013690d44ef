//! Backward: stretches of time, the last one first, each followed by the sums over its blocks.

use super::super::Size;
use super::tile::Tile;
use super::{Inputs, Rows, check_last};
use crate::Elem;
use crate::cuda::shape::{check_scratch, int, need_opt};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const BACKWARD: &str = "selective_scan backward";

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

/// Parts of the scratch of the backward pass: for b, for c, step sizes by channel, rates and skip by sequence, the gradient that
/// is carried.
fn parts(size: Size) -> [usize; 6] {
    let tile = Tile::new(size, true);
    let sums = tile.blocks * size.batch * tile.segment(size) * size.read();
    let steps = match size.head_channels() {
        1 => 0,
        _ => size.rows() * size.channels,
    };
    let channels = size.batch * size.channels;
    let rates = if size.shared {
        channels
    } else {
        size.batch * size.wide()
    };
    [sums, sums, steps, rates, channels, size.batch * size.wide()]
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
/// As [`forward`](super::forward); too little scratch.
pub fn backward(
    gpu: &Gpu,
    inputs: &Inputs<'_>,
    saved: &Saved<'_>,
    to: &Grads<'_>,
    scratch: View<'_>,
) -> Result<()> {
    let size = inputs.size;
    inputs.check(BACKWARD)?;
    check_backward(inputs, saved, to)?;
    check_scratch(BACKWARD, scratch, scratch_len(size))?;
    let mut from = 0;
    let parts = parts(size).map(|len| {
        from += len;
        scratch.slice(from - len, len)
    });
    let [b, c, steps, rates, skip, carry] = parts;
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
    };
    let tile = Tile::new(size, true);
    let segment = tile.segment(size);
    for first in (0..size.time).step_by(segment).rev() {
        let past = (first + segment).min(size.time);
        segment_backward(gpu, inputs, saved, to, &parts, tile, (first, past))?;
    }
    fold_rest(gpu, inputs, to, &parts)
}

fn check_backward(inputs: &Inputs<'_>, saved: &Saved<'_>, to: &Grads<'_>) -> Result<()> {
    let (size, op) = (inputs.size, BACKWARD);
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

/// Parts of the scratch.
struct Parts<'a> {
    b: View<'a>,
    c: View<'a>,
    steps: View<'a>,
    rates: View<'a>,
    skip: View<'a>,
    carry: View<'a>,
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
    let (size, op) = (inputs.size, BACKWARD);
    let dstep = match size.head_channels() {
        1 => to.step,
        _ => Rows {
            view: parts.steps,
            stride: size.channels,
        },
    };
    let call = tile.call(gpu, "bwd", inputs.elem())?;
    inputs
        .arguments(op, call, saved.last.and_then(|last| last.1), tile)?
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
            tile.shared(),
        )?;
    let n = size.batch * (past - first) * size.read();
    for (from, to) in [(parts.b, to.b), (parts.c, to.c)] {
        let name = format!("selective_scan_fold_{}", inputs.elem().suffix());
        let call = Call::new(gpu, Module::SelectiveScan, &name)?
            .view(from)
            .view(to.view)
            .i64(to.stride as i64)
            .i32(int(op, "the number of blocks", tile.blocks)?)
            .i32(int(op, "t", size.time)?)
            .i32(int(op, "t", first)?)
            .i32(int(op, "t", past - first)?)
            .i32(int(op, "g * n", size.read())?);
        fold(gpu, call, n)?;
    }
    Ok(())
}

/// Puts a kernel with one thread an element on the stream; `n` is its last argument.
fn fold(gpu: &Gpu, call: Call<'_>, n: usize) -> Result<()> {
    let most = gpu.multiprocessors() as usize * 16;
    let grid = n.div_ceil(256).clamp(1, most);
    call.i64(n as i64)
        .launch((grid as u32, 1, 1), (256, 1, 1), 0)
}

/// Sums over the channels of a head, and over sequences.
fn fold_rest(gpu: &Gpu, inputs: &Inputs<'_>, to: &Grads<'_>, parts: &Parts<'_>) -> Result<()> {
    let (size, op) = (inputs.size, BACKWARD);
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
    let sequences = |from: View<'_>, log: Option<View<'_>>, to: View<'_>, times: i32| {
        let call = Call::new(gpu, Module::SelectiveScan, "selective_scan_fold_sequences")?
            .view(from)
            .opt(log)
            .view(to)
            .i32(int(op, "b", size.batch)?)
            .i32(times);
        fold(gpu, call, to.len())
    };
    let times = if size.shared { heads } else { 1 };
    sequences(parts.rates, Some(inputs.log_rates), to.log_rates, times)?;
    sequences(parts.skip, None, to.skip, heads)
}
