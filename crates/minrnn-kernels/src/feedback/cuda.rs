//! GRU and LSTM on CUDA, f32: all steps in one launch, forward and backward.
//!
//! Up to 64 channels, in fours and aligned, a block has one sequence, the matrix in its registers. Up to 64 channels else a block, and up to 512, on GPUs with clusters of blocks (compute capability 9.0), a cluster keeps the matrix in its
//! registers, and beyond 384 in its shared memory too, for all steps; else a plain kernel reads it in every step. Every sum has an order that hangs on the channels and on which of the three it is:
//! a sequence has the same bits in any batch.

use super::{Feedback, Size};
use crate::Elem;
use crate::cuda::shape::{at_least_one, blocks, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "feedback";
const BACKWARD: &str = "feedback backward";
const F32: &[Elem] = &[Elem::F32];

/// Sequences of a block of the plain kernel, and its most threads, as in `plain.cuh`.
const PLAIN: (usize, usize) = (4, 1024);

/// Most channels of a block that has one sequence, as in `alone.cuh`.
const ALONE: usize = 64;

/// What a cell reads, as the twin's [`slow::Inputs`](super::slow::Inputs).
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Products of the input with their bias, `[B,T,P D]`.
    pub x: View<'a>,
    /// Matrix of the state, `[D,P D]`.
    pub weight: View<'a>,
    /// Its bias, `[P D]`.
    pub bias: Option<View<'a>>,
    /// h before the first step, `[B,D]`; absent: zeros.
    pub h0: Option<View<'a>>,
    /// c before the first step, `[B,D]`; absent: zeros, or a GRU.
    pub c0: Option<View<'a>>,
}

/// What it writes.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// h of all steps, `[B,T,D]`.
    pub h: View<'a>,
    /// What [`Size::saved`] says.
    pub saved: Option<View<'a>>,
    /// c after the last step, `[B,D]`; absent: not wanted, or a GRU.
    pub last: Option<View<'a>>,
}

/// Gradients to be written, as the twin's [`slow::Grads`](super::slow::Grads).
#[derive(Debug, Clone, Copy)]
pub struct Grads<'a> {
    /// `[B,T,P D]`.
    pub x: View<'a>,
    /// `[B,T,P D]`; of an LSTM absent: it is that of x.
    pub moved: Option<View<'a>>,
    /// h before each step, `[B,T,D]`.
    pub before: View<'a>,
    /// `[B,D]`; absent: not wanted.
    pub h0: Option<View<'a>>,
    /// `[B,D]`; absent: not wanted, or a GRU.
    pub c0: Option<View<'a>>,
}

/// How a launch shares the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By clusters, or up to 64 channels by a block alone, each with so many sequences: 2 or 8. Plain where there are none, or too many
    /// channels for them.
    Cluster(usize),
    /// By a block for each sequence: up to 64 channels, a multiple of 4, and aligned views.
    Alone,
    /// Any sizes, on any GPU.
    Plain,
}

impl Way {
    /// The fastest for what is read `by` fours of channels.
    fn best(gpu: &Gpu, kind: Feedback, size: Size, by: &[View<'_>]) -> Self {
        if has_alone(size) && aligned(by) {
            return Self::Alone;
        }
        let Some(tile) = Tile::new(size.channels) else {
            return Self::Plain;
        };
        // Few sequences a cluster where that leaves multiprocessors free: not all of them can be in clusters. And where many would have
        // too few registers: measured of an LSTM of 384 and 512 channels.
        let blocks = size.batch.div_ceil(2) * tile.blocks;
        let free = 4 * blocks <= 3 * gpu.multiprocessors() as usize;
        let tight = kind == Feedback::Lstm && size.channels > 256;
        Self::Cluster(if free || tight { 2 } else { 8 })
    }
}

/// Whether a size has kernels for a sequence a block.
pub(super) fn has_alone(size: Size) -> bool {
    size.channels <= ALONE && size.channels.is_multiple_of(4)
}

fn aligned(views: &[View<'_>]) -> bool {
    views.iter().all(|v| v.address().is_multiple_of(16))
}

/// How a cluster shares a matrix, as `Tile` in `tile.cuh`.
#[derive(Debug, Clone, Copy)]
struct Tile {
    quads: usize,
    blocks: usize,
    threads: usize,
}

impl Tile {
    /// `None`: too many channels.
    fn new(channels: usize) -> Option<Self> {
        let (quads, blocks) = match channels {
            ..=64 => (1, 1),
            65..=128 => (2, 4),
            129..=256 => (4, 8),
            257..=384 => (6, 16),
            385..=512 => (8, 16),
            _ => return None,
        };
        let lanes = if blocks == 1 { 8 } else { 16 };
        Some(Self {
            quads,
            blocks,
            threads: lanes * 4 * channels.div_ceil(4 * blocks),
        })
    }

    /// Bytes of shared memory for what of the matrix is not in registers: fours beyond the third, of each thread.
    fn shared(self, kind: Feedback, pass: Pass) -> u32 {
        let parts = kind.parts();
        let (fours, each) = match pass {
            _ if self.quads <= 6 => (0, 0),
            Pass::Forward => (self.quads, parts),
            // The columns of 32 channels in fours, over 4 lanes.
            Pass::Backward => (2 * parts, 4),
        };
        (fours.saturating_sub(3) * each * self.threads * 16) as u32
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    Backward,
}

/// A launch in the making, with its blocks, their threads and bytes of shared memory.
struct Launch<'a> {
    call: Call<'a>,
    grid: usize,
    threads: usize,
    shared: u32,
}

impl<'a> Launch<'a> {
    fn new(gpu: &'a Gpu, kind: Feedback, pass: Pass, size: Size, way: Way) -> Result<Self> {
        if let Way::Cluster(rows) = way
            && let Some(launch) = Self::clustered(gpu, kind, pass, size, rows)?
        {
            return Ok(launch);
        }
        if way == Way::Alone {
            return Ok(Self {
                call: Call::new(
                    gpu,
                    Module::Feedback,
                    &format!("{}_alone", name(kind, pass)),
                )?,
                grid: size.batch,
                threads: (4 * size.channels).next_multiple_of(32),
                shared: 0,
            });
        }
        let (name, (rows, threads)) = (name(kind, pass), PLAIN);
        Ok(Self {
            call: Call::new(gpu, Module::Feedback, &format!("{name}_plain"))?,
            grid: size.batch.div_ceil(rows),
            threads: size.channels.next_multiple_of(32).min(threads),
            shared: 0,
        })
    }

    /// By clusters, where the GPU has such ones and the program was built for it.
    fn clustered(
        gpu: &'a Gpu,
        kind: Feedback,
        pass: Pass,
        size: Size,
        rows: usize,
    ) -> Result<Option<Self>> {
        let Some(tile) = Tile::new(size.channels) else {
            return Ok(None);
        };
        if tile.blocks > 1 && gpu.compute_capability()?.0 < 9 {
            return Ok(None);
        }
        let name = format!("{}_{}_{rows}", name(kind, pass), tile.quads);
        let (blocks, threads) = (tile.blocks as u32, tile.threads as u32);
        let shared = tile.shared(kind, pass);
        // Absent where the kernels were built for older GPUs only.
        let call = Call::new(gpu, Module::Feedback, &name).ok();
        let call = call.filter(|call| blocks == 1 || call.fits_a_cluster(blocks, threads, shared));
        let grid = product(OP, &[size.batch.div_ceil(rows), tile.blocks])?;
        Ok(call.map(|call| Self {
            call,
            grid,
            threads: tile.threads,
            shared,
        }))
    }

    fn inputs(mut self, i: &Inputs<'_>) -> Self {
        let call = self.call.view(i.x).view(i.weight);
        self.call = call.opt(i.bias).opt(i.h0).opt(i.c0);
        self
    }

    fn launch(self, op: &'static str, size: Size) -> Result<()> {
        let sizes = [size.batch, size.time, size.channels];
        let call = (sizes.into_iter()).fold(self.call, |call, size| call.i64(size as i64));
        call.launch(
            (blocks(op, self.grid)?, 1, 1),
            (self.threads as u32, 1, 1),
            self.shared,
        )
    }
}

fn name(kind: Feedback, pass: Pass) -> &'static str {
    match (kind, pass) {
        (Feedback::Gru, Pass::Forward) => "feedback_gru_fwd",
        (Feedback::Gru, Pass::Backward) => "feedback_gru_bwd",
        (Feedback::Lstm, Pass::Forward) => "feedback_lstm_fwd",
        (Feedback::Lstm, Pass::Backward) => "feedback_lstm_bwd",
    }
}

/// Whether there are clusters for a size, forward and backward.
#[cfg(test)]
pub(super) fn has_clusters(gpu: &Gpu, kind: Feedback, size: Size, rows: usize) -> bool {
    let has = |pass| Launch::clustered(gpu, kind, pass, size, rows);
    [Pass::Forward, Pass::Backward]
        .into_iter()
        .all(|pass| matches!(has(pass), Ok(Some(_))))
}

fn check(op: &'static str, kind: Feedback, i: &Inputs<'_>, size: Size) -> Result<()> {
    let Size {
        batch,
        time,
        channels: d,
    } = size;
    at_least_one(op, &[("b", batch), ("t", time), ("d", d)])?;
    for (what, value) in [("b", batch), ("t", time), ("d", d)] {
        int(op, what, value)?;
    }
    product(op, &[5, batch, time, d])?;
    product(op, &[4, d, d])?;
    let columns = kind.parts() * d;
    need(op, "x", i.x, F32, size.packed(kind))?;
    need(op, "weight", i.weight, F32, d * columns)?;
    need_opt(op, "bias", i.bias, F32, columns)?;
    need_opt(op, "h0", i.h0, F32, size.state())?;
    need_c(op, "c0", kind, i.c0, size)
}

/// A value `[B,D]` of the state c.
fn need_c(
    op: &'static str,
    arg: &'static str,
    kind: Feedback,
    view: Option<View<'_>>,
    size: Size,
) -> Result<()> {
    if kind == Feedback::Gru && view.is_some() {
        let problem = format!("`{arg}` is given, but a GRU has no state c");
        return Err(CudaError::Value { op, problem });
    }
    need_opt(op, arg, view, F32, size.state())
}

/// h of all steps. `last` may be the memory of `c0`; no others may be the same.
///
/// # Errors
/// [`CudaError`] on other lengths or types, sizes of 0 or beyond 2^31, a state c of a GRU, or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    to: &Outputs<'_>,
) -> Result<()> {
    let way = Way::best(gpu, kind, size, &[i.x]);
    forward_by(gpu, kind, i, size, to, way)
}

pub(super) fn forward_by(
    gpu: &Gpu,
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    to: &Outputs<'_>,
    way: Way,
) -> Result<()> {
    check(OP, kind, i, size)?;
    need(OP, "h", to.h, F32, size.states())?;
    need_opt(OP, "saved", to.saved, F32, size.saved(kind))?;
    need_c(OP, "last", kind, to.last, size)?;
    let mut launch = Launch::new(gpu, kind, Pass::Forward, size, way)?.inputs(i);
    launch.call = launch.call.view(to.h).opt(to.saved).opt(to.last);
    launch.launch(OP, size)
}

/// Gradients from what [`forward`] gave, h and what it saved, and the gradient of h, `[B,T,D]`. No two may be the same memory.
///
/// # Errors
/// As [`forward`]; a gradient of the products of the state that is missing of a GRU, or given of an LSTM.
pub fn backward(
    gpu: &Gpu,
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    given: [View<'_>; 3],
    to: &Grads<'_>,
) -> Result<()> {
    let way = Way::best(gpu, kind, size, &given);
    backward_by(gpu, kind, i, size, given, to, way)
}

pub(super) fn backward_by(
    gpu: &Gpu,
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    [h, saved, dh]: [View<'_>; 3],
    to: &Grads<'_>,
    way: Way,
) -> Result<()> {
    const OP: &str = BACKWARD;
    check(OP, kind, i, size)?;
    need(OP, "h", h, F32, size.states())?;
    need(OP, "saved", saved, F32, size.saved(kind))?;
    need(OP, "dh", dh, F32, size.states())?;
    need(OP, "dx", to.x, F32, size.packed(kind))?;
    if to.moved.is_some() != (kind == Feedback::Gru) {
        let problem = "`dmoved` must be given of a GRU, and of an LSTM it is `dx`".into();
        return Err(CudaError::Value { op: OP, problem });
    }
    need_opt(OP, "dmoved", to.moved, F32, size.packed(kind))?;
    need(OP, "before", to.before, F32, size.states())?;
    need_opt(OP, "dh0", to.h0, F32, size.state())?;
    need_c(OP, "dc0", kind, to.c0, size)?;
    let mut launch = Launch::new(gpu, kind, Pass::Backward, size, way)?.inputs(i);
    let call = launch.call.view(h).view(saved).view(dh);
    let call = call.view(to.x).opt(to.moved).view(to.before);
    launch.call = call.opt(to.h0).opt(to.c0);
    launch.launch(OP, size)
}
