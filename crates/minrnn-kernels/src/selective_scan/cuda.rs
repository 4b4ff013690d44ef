//! The selective scan on CUDA.

use super::{EVERY, MOST_STATES_ON_GPU, Size};
use crate::Elem;
use crate::cuda::shape::{FLOATS, at_least_one, blocks, check_scratch, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "selective_scan";
const BACKWARD: &str = "selective_scan backward";

/// Steps between states in shared memory, as in `selective_scan.cu`.
const SUB: usize = 8;

/// Rows of a matrix, which begin `stride` elements after each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// From the first element of the first row on.
    pub view: View<'a>,
    /// Elements from a row to the next.
    pub stride: usize,
}

/// What a scan reads. x, b and c are of one type (f32, bf16 or f16), all else is f32.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Step sizes, H in each of B T rows.
    pub step: Rows<'a>,
    /// D in each row.
    pub x: Rows<'a>,
    /// G N in each row.
    pub b: Rows<'a>,
    /// G N in each row.
    pub c: Rows<'a>,
    /// A_log, `[D N]` or `[H]`.
    pub log_rates: View<'a>,
    /// `[H]`.
    pub skip: View<'a>,
    /// `[B,D N]`; absent: zeros.
    pub h0: Option<View<'a>>,
    /// All sizes.
    pub size: Size,
}

/// The results of [`forward`].
#[derive(Debug, Clone, Copy)]
pub struct Out<'a> {
    /// `[B,T,D]`, of the type of x.
    pub y: View<'a>,
    /// The last states f32 `[B,D N]` and the steps of each sequence, u32 `[B]` (absent: all T), if they are wanted.
    pub last: Option<(View<'a>, Option<View<'a>>)>,
    /// States that [`backward`] needs, f32, [`Size::marks`].
    pub marks: Option<View<'a>>,
}

/// What [`backward`] reads beside the inputs.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'a> {
    /// As [`forward`] wrote them; absent where there are none.
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

/// How states are spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    /// Threads of a channel.
    lanes: usize,
    /// States of a thread.
    per: usize,
    /// Threads of a block.
    threads: usize,
    /// Blocks of a group.
    blocks: usize,
}

impl Tile {
    fn new(size: Size, backward: bool) -> Self {
        let (lanes, per) = match size.states {
            0..=4 => (4, 1),
            5..=16 => (16, 1),
            17..=32 => (32, 1),
            33..=64 => (32, 2),
            65..=128 => (32, 4),
            _ => (32, 8),
        };
        let most = match (backward, per) {
            (false, _) => 128,
            (true, 1 | 2) => 512,
            (true, _) => 1024 / per,
        };
        let channels = size.group_channels();
        let threads = most.min((channels * lanes).next_multiple_of(32));
        Self {
            lanes,
            per,
            threads,
            blocks: channels.div_ceil(threads / lanes),
        }
    }
    /// Bytes of shared memory of the backward pass.
    fn shared(self) -> u32 {
        let states = self.threads * self.per;
        ((EVERY / SUB + 2 * SUB) * states * Elem::F32.size()) as u32
    }
    fn grid(self, op: &'static str, size: Size) -> Result<(u32, u32, u32)> {
        let all = product(op, &[size.batch, size.groups, self.blocks])?;
        Ok((blocks(op, all)?, 1, 1))
    }
    fn call<'g>(self, gpu: &'g Gpu, pass: &str, elem: Elem) -> Result<Call<'g>> {
        let (elem, lanes, per) = (elem.suffix(), self.lanes, self.per);
        let name = format!("selective_scan_{pass}_{elem}_{lanes}_{per}");
        Call::new(gpu, Module::SelectiveScan, &name)
    }
    /// Steps of a launch of the backward pass, a multiple of [`EVERY`]: its sums over blocks take about as much memory as four values
    /// `[B,T,D]`.
    fn segment(self, size: Size) -> usize {
        let step = 2 * self.blocks * size.read();
        let steps = 4 * size.time * size.channels / step;
        (steps / EVERY * EVERY).max(EVERY).min(size.time)
    }
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

impl Rows<'_> {
    /// Refuses rows that do not lie in their memory.
    fn need(
        self,
        op: &'static str,
        arg: &'static str,
        elem: &[Elem],
        rows: usize,
        width: usize,
    ) -> Result<()> {
        need(op, arg, self.view, elem, self.view.len())?;
        let end = product(op, &[rows - 1, self.stride])?.saturating_add(width);
        if width <= self.stride && end <= self.view.len() {
            return Ok(());
        }
        Err(CudaError::Length {
            op,
            arg,
            got: self.view.len(),
            expected: end,
        })
    }
}

impl Inputs<'_> {
    fn elem(&self) -> Elem {
        self.x.view.elem()
    }

    fn check(&self, op: &'static str) -> Result<()> {
        let size = self.size;
        let Size {
            batch,
            time,
            channels,
            states,
            heads,
            groups,
            ..
        } = size;
        let sizes = [
            ("b", batch),
            ("t", time),
            ("d", channels),
            ("n", states),
            ("h", heads),
            ("g", groups),
        ];
        at_least_one(op, &sizes)?;
        if channels % heads != 0 || heads % groups != 0 || states > MOST_STATES_ON_GPU {
            let problem = format!(
                "{channels} channels in {heads} heads in {groups} groups with {states} states: each must divide the one before it, and \
                 {MOST_STATES_ON_GPU} states are the most"
            );
            return Err(CudaError::Value { op, problem });
        }
        product(op, &[batch, time, channels, states])?;
        int(op, "d * n", size.wide())?;
        let rows = size.rows();
        let own: &[Elem] = &[self.elem()];
        self.x.need(op, "x", &FLOATS, rows, channels)?;
        self.b.need(op, "b", own, rows, size.read())?;
        self.c.need(op, "c", own, rows, size.read())?;
        self.step.need(op, "step", &[Elem::F32], rows, heads)?;
        need(op, "log_rates", self.log_rates, &[Elem::F32], size.rates())?;
        need(op, "skip", self.skip, &[Elem::F32], heads)?;
        need_opt(op, "h0", self.h0, &[Elem::F32], batch * size.wide())
    }

    /// Everything that both kernels take first.
    fn arguments<'g>(
        &self,
        op: &'static str,
        mut call: Call<'g>,
        lens: Option<View<'_>>,
        tile: Tile,
    ) -> Result<Call<'g>> {
        let size = self.size;
        for rows in [self.step, self.x, self.b, self.c] {
            call = call.view(rows.view).i64(rows.stride as i64);
        }
        call = call.view(self.log_rates).view(self.skip).opt(self.h0);
        call = call.opt(lens);
        let numbers = [
            ("b", size.batch),
            ("t", size.time),
            ("g", size.groups),
            ("d", size.group_channels()),
            ("p", size.head_channels()),
            ("n", size.states),
            ("shared", usize::from(size.shared)),
            ("blocks", tile.blocks),
        ];
        for (what, number) in numbers {
            call = call.i32(int(op, what, number)?);
        }
        Ok(call)
    }
}

/// Checks last states, or their gradients, and the lengths beside them.
fn check_last(
    op: &'static str,
    last: Option<(View<'_>, Option<View<'_>>)>,
    size: Size,
) -> Result<()> {
    let Some((states, lens)) = last else {
        return Ok(());
    };
    need(op, "last", states, &[Elem::F32], size.batch * size.wide())?;
    need_opt(op, "lens", lens, &[Elem::U32], size.batch)
}

/// y, and what else is wanted: with A = -exp(A_log), `h = exp(step A) h + step x b`, `y = sum_n h c + skip x`, all in f32 but y, which is
/// rounded where it is written. Lengths (1 to T) are not checked here.
///
/// # Errors
/// [`CudaError`] on other lengths or types, sizes of 0, too many states, or where the launch fails.
pub fn forward(gpu: &Gpu, inputs: &Inputs<'_>, out: &Out<'_>) -> Result<()> {
    let size = inputs.size;
    inputs.check(OP)?;
    need(
        OP,
        "y",
        out.y,
        &[inputs.elem()],
        size.rows() * size.channels,
    )?;
    check_last(OP, out.last, size)?;
    need_opt(OP, "marks", out.marks, &[Elem::F32], size.marks())?;
    let tile = Tile::new(size, false);
    let call = tile.call(gpu, "fwd", inputs.elem())?;
    inputs
        .arguments(OP, call, out.last.and_then(|last| last.1), tile)?
        .view(out.y)
        .opt(out.last.map(|last| last.0))
        .opt(out.marks.filter(|marks| !marks.is_empty()))
        .launch(tile.grid(OP, size)?, (tile.threads as u32, 1, 1), 0)
}

/// The gradients of [`forward`]. Sums have a fixed order: the bits are the same on every run.
///
/// No two may be the same memory. `scratch`: f32, [`scratch_len`].
///
/// # Errors
/// As [`forward`]; too little scratch.
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
