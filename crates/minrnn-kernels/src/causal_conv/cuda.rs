//! The causal convolution on CUDA.

use super::Size;
use crate::Elem;
use crate::column_sum::cuda::fold;
use crate::cuda::shape::{
    Columns, FLOATS, aligned, at_least_one, blocks, check_scratch, int, need_opt, product,
};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "causal_conv";
const BACKWARD: &str = "causal_conv backward";

/// Taps up to which they stay in registers.
const HELD: usize = 8;
/// Threads that a multiprocessor runs at once, forward and backward, by the registers that they take.
const FORWARD_THREADS: usize = 512;
const BACKWARD_THREADS: usize = 256;
/// Blocks of the backward pass on a multiprocessor: of 128 threads.
const BLOCKS: usize = 3;

impl Size {
    fn check(self, op: &'static str) -> Result<usize> {
        let Self { b, t, m: w, k } = self;
        at_least_one(op, &[("b", b), ("t", t), ("w", w), ("k", k)])?;
        int(op, "t + k", t + k)?;
        product(op, &[b, t + k, w])?;
        product(op, &[b, t, w])
    }
    /// Channels of a thread.
    fn vec(self, elem: Elem, views: &[View<'_>]) -> usize {
        let vec = if elem == Elem::F32 || self.k > 4 {
            4
        } else {
            8
        };
        if self.m.is_multiple_of(vec) && aligned(views) {
            vec
        } else {
            1
        }
    }
    /// Steps of a segment, so that there are about `threads` threads: few, to fill the GPU; many, to load less twice.
    fn steps(self, vec: usize, threads: usize) -> usize {
        let groups = self.b * (self.m / vec);
        let mut steps = 64;
        while steps > 8 && groups * self.t.div_ceil(steps) < threads {
            steps /= 2;
        }
        steps
    }
    fn arguments<'a>(self, op: &'static str, call: Call<'a>) -> Result<Call<'a>> {
        Ok(call
            .i32(int(op, "b", self.b)?)
            .i32(int(op, "t", self.t)?)
            .i32(int(op, "w", self.m)?)
            .i32(int(op, "k", self.k)?))
    }
    fn any(self, what: &str, elem: Elem) -> String {
        format!("causal_conv_{what}_{}_any", elem.suffix())
    }
}

/// `y[t] = w[0] c[t] + .. + w[k-1] c[t+k-1] + bias`, where c is the state followed by x: summed in the order of the taps,
/// each product and each sum rounded to f32, as on the CPU.
///
/// `x`, `y`: `[b,t,w]`, one of f32, bf16 and f16; `state`: f32 `[b,k-1,w]` (absent: zeros); `weight`: f32 `[k,w]`; `bias`: f32
/// `[w]`. No two may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    x: View<'_>,
    state: Option<View<'_>>,
    weight: View<'_>,
    bias: Option<View<'_>>,
    y: View<'_>,
    size: Size,
) -> Result<()> {
    let n = size.check(OP)?;
    let Size { b, t, m: w, k } = size;
    need(OP, "x", x, &FLOATS, n)?;
    need(OP, "y", y, &[x.elem()], n)?;
    need_opt(OP, "state", state, &[Elem::F32], b * (k - 1) * w)?;
    need(OP, "weight", weight, &[Elem::F32], k * w)?;
    need_opt(OP, "bias", bias, &[Elem::F32], w)?;
    let state = state.filter(|_| k > 1);
    let begin = |name: &str| {
        let call = Call::new(gpu, Module::CausalConv, name)?;
        size.arguments(OP, call.view(x).opt(state).view(weight).opt(bias).view(y))
    };
    if k > HELD {
        let grid = blocks(OP, n.div_ceil(256))?;
        return begin(&size.any("fwd", x.elem()))?.launch((grid, 1, 1), (256, 1, 1), 0);
    }
    let vec = size.vec(x.elem(), &[x, y]);
    let steps = size.steps(vec, gpu.multiprocessors() as usize * FORWARD_THREADS);
    let columns = Columns::new(w / vec, 256);
    let down = blocks(OP, (b * t.div_ceil(steps)).div_ceil(columns.y as usize))?;
    begin(&format!(
        "causal_conv_fwd_{}_k{k}_v{vec}",
        x.elem().suffix()
    ))?
    .i32(steps as i32)
    .launch((down, columns.across, 1), columns.block(), 0)
}

fn most_blocks(gpu: &Gpu) -> usize {
    gpu.multiprocessors() as usize * BLOCKS
}

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(gpu: &Gpu, b: usize, t: usize, w: usize, k: usize) -> usize {
    most_blocks(gpu).min(b * t) * (k + 1) * w
}

/// Arguments of [`backward`].
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// `[b,t,w]`, f32, bf16 or f16.
    pub x: View<'a>,
    /// f32 `[b,k-1,w]`; absent: zeros.
    pub state: Option<View<'a>>,
    /// f32 `[k,w]`.
    pub weight: View<'a>,
    /// `[b,t,w]`, the type of x.
    pub dy: View<'a>,
    /// `[b,t,w]`, the type of x.
    pub dx: View<'a>,
    /// f32 `[k,w]`.
    pub dweight: View<'a>,
    /// f32 `[w]`.
    pub dbias: Option<View<'a>>,
    /// f32 `[b,k-1,w]`.
    pub dstate: Option<View<'a>>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Sizes.
    pub size: Size,
}

/// The gradients, all overwritten. No two views may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn backward(gpu: &Gpu, p: &Backward<'_>) -> Result<()> {
    let n = p.size.check(BACKWARD)?;
    let Size { b, t, m: w, k } = p.size;
    let states = b * (k - 1) * w;
    need(BACKWARD, "x", p.x, &FLOATS, n)?;
    need(BACKWARD, "dy", p.dy, &[p.x.elem()], n)?;
    need(BACKWARD, "dx", p.dx, &[p.x.elem()], n)?;
    need(BACKWARD, "weight", p.weight, &[Elem::F32], k * w)?;
    need(BACKWARD, "dweight", p.dweight, &[Elem::F32], k * w)?;
    need_opt(BACKWARD, "state", p.state, &[Elem::F32], states)?;
    need_opt(BACKWARD, "dstate", p.dstate, &[Elem::F32], states)?;
    need_opt(BACKWARD, "dbias", p.dbias, &[Elem::F32], w)?;
    check_scratch(BACKWARD, p.scratch, scratch_len(gpu, b, t, w, k))?;
    let parts = if k > HELD {
        any_taps(gpu, p)?
    } else {
        held_taps(gpu, p)?
    };
    let sums = p.scratch.slice(0, parts * (k + 1) * w)?;
    fold(gpu, BACKWARD, sums, parts, p.dweight, p.dbias, false)
}

/// One pass; gives the number of partial sums.
fn held_taps(gpu: &Gpu, p: &Backward<'_>) -> Result<usize> {
    let Size { b, t, m: w, k } = p.size;
    let vec = p.size.vec(p.x.elem(), &[p.x, p.dy, p.dx]);
    let steps = p
        .size
        .steps(vec, gpu.multiprocessors() as usize * BACKWARD_THREADS);
    let columns = Columns::new(w / vec, 128);
    let down = columns.down(b * t.div_ceil(steps), most_blocks(gpu));
    let name = format!("causal_conv_bwd_{}_k{k}_v{vec}", p.x.elem().suffix());
    let call = Call::new(gpu, Module::CausalConv, &name)?
        .view(p.x)
        .opt(p.state.filter(|_| k > 1))
        .view(p.weight)
        .view(p.dy)
        .view(p.dx)
        .opt(p.dstate.filter(|_| k > 1))
        .view(p.scratch);
    let shared = columns.x * columns.y * vec as u32 * 4;
    p.size.arguments(BACKWARD, call)?.i32(steps as i32).launch(
        (columns.across, down, 1),
        columns.block(),
        shared,
    )?;
    Ok(down as usize)
}

/// Gradients of the inputs, then those of the taps.
fn any_taps(gpu: &Gpu, p: &Backward<'_>) -> Result<usize> {
    let Size { b, t, m: w, k } = p.size;
    let elem = p.x.elem();
    let call = Call::new(gpu, Module::CausalConv, &p.size.any("bwd", elem))?
        .view(p.weight)
        .view(p.dy)
        .view(p.dx)
        .opt(p.dstate);
    let grid = blocks(BACKWARD, (b * (t + k - 1) * w).div_ceil(256))?;
    p.size
        .arguments(BACKWARD, call)?
        .launch((grid, 1, 1), (256, 1, 1), 0)?;
    let columns = Columns::new(w, 256);
    let down = columns.down(b * t, most_blocks(gpu));
    let call = Call::new(gpu, Module::CausalConv, &p.size.any("taps", elem))?
        .view(p.x)
        .opt(p.state)
        .view(p.dy)
        .view(p.scratch);
    let taps = blocks(BACKWARD, k + 1)?;
    p.size.arguments(BACKWARD, call)?.launch(
        (columns.across, down, taps),
        columns.block(),
        columns.x * columns.y * 4,
    )?;
    Ok(down as usize)
}
