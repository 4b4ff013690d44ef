//! The convolution on CUDA: f32, bf16 or f16, taps f32.

use super::Size;
use crate::Elem;
use crate::column_sum::cuda::fold;
use crate::cuda::shape::{FLOATS, at_least_one, blocks, check_scratch, int, need_opt, product};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "convolution";
const BACKWARD: &str = "convolution backward";
const F32: &[Elem] = &[Elem::F32];

/// As in `convolution.cu`: channels, warps and results of a block.
const LANES: usize = 32;
const WARPS: u32 = 8;
const TILE: usize = 64;
/// Most parts that the gradients of the taps are summed in.
const GROUPS: usize = 16;

impl Size {
    fn check(self, op: &'static str) -> Result<()> {
        let Self {
            batch,
            time,
            channels,
            taps,
        } = self;
        let sizes = [
            ("batch", batch),
            ("time", time),
            ("channels", channels),
            ("taps", taps),
        ];
        at_least_one(op, &sizes)?;
        int(
            op,
            "the number of steps, taps and a tile",
            time + taps + TILE,
        )?;
        product(op, &[batch, time, channels])?;
        product(op, &[batch, taps, channels])?;
        Ok(())
    }

    /// Sequences of a block of the gradients of the taps.
    fn each(self) -> usize {
        self.batch.div_ceil(GROUPS)
    }

    fn groups(self) -> usize {
        self.batch.div_ceil(self.each())
    }

    fn arguments<'a>(self, op: &'static str, call: Call<'a>) -> Result<Call<'a>> {
        Ok(call
            .i32(int(op, "batch", self.batch)?)
            .i32(int(op, "time", self.time)?)
            .i32(int(op, "channels", self.channels)?)
            .i32(int(op, "taps", self.taps)?))
    }

    /// So many blocks for each 32 channels.
    fn launch(self, op: &'static str, call: Call<'_>, down: usize) -> Result<()> {
        let grid = (
            blocks(op, down)?,
            blocks(op, self.channels.div_ceil(LANES))?,
            1,
        );
        call.launch(grid, (LANES as u32, WARPS, 1), 0)
    }
}

fn kernel<'a>(gpu: &'a Gpu, what: &str, elem: Elem) -> Result<Call<'a>> {
    let name = format!("convolution_{what}_{}", elem.suffix());
    Call::new(gpu, Module::Convolution, &name)
}

/// y `[B,T,D]` of x of the same type, a window f32 `[B,taps-1,D]` before the begin (absent: zeros) and taps, f32 `[taps,D]`. No two may be the same
/// memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, sizes of 0, or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    x: View<'_>,
    window: Option<View<'_>>,
    taps: View<'_>,
    y: View<'_>,
    size: Size,
) -> Result<()> {
    size.check(OP)?;
    need(OP, "x", x, &FLOATS, size.values())?;
    need(OP, "y", y, &[x.elem()], size.values())?;
    need_opt(OP, "window", window, F32, size.window())?;
    need(OP, "taps", taps, F32, size.filter())?;
    let call = kernel(gpu, "fwd", x.elem())?;
    let call = call.view(x).opt(window).view(taps).view(y);
    let down = product(OP, &[size.batch, size.time.div_ceil(TILE)])?;
    size.launch(OP, size.arguments(OP, call)?, down)
}

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(size: Size) -> usize {
    size.groups() * size.filter()
}

/// What [`backward`] reads and writes.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// As [`forward`] read it.
    pub x: View<'a>,
    /// As [`forward`] read it.
    pub window: Option<View<'a>>,
    /// As [`forward`] read them.
    pub taps: View<'a>,
    /// The gradient of y, of the type of x.
    pub dy: View<'a>,
    /// That of x, of its type.
    pub dx: View<'a>,
    /// That of the taps, f32.
    pub dtaps: View<'a>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
}

/// The gradients, both overwritten. No two may be the same memory.
///
/// # Errors
/// As [`forward`].
pub fn backward(gpu: &Gpu, p: &Backward<'_>, size: Size) -> Result<()> {
    size.check(BACKWARD)?;
    let elem = p.x.elem();
    need(BACKWARD, "x", p.x, &FLOATS, size.values())?;
    need(BACKWARD, "dy", p.dy, &[elem], size.values())?;
    need(BACKWARD, "dx", p.dx, &[elem], size.values())?;
    need_opt(BACKWARD, "window", p.window, F32, size.window())?;
    need(BACKWARD, "taps", p.taps, F32, size.filter())?;
    need(BACKWARD, "dtaps", p.dtaps, F32, size.filter())?;
    check_scratch(BACKWARD, p.scratch, scratch_len(size))?;
    let call = kernel(gpu, "bwd", elem)?.view(p.taps).view(p.dy).view(p.dx);
    let down = product(BACKWARD, &[size.batch, size.time.div_ceil(TILE)])?;
    size.launch(BACKWARD, size.arguments(BACKWARD, call)?, down)?;
    let call = kernel(gpu, "taps", elem)?.view(p.x).opt(p.window);
    let call = call.view(p.dy).view(p.scratch);
    let each = int(BACKWARD, "sequences of a block", size.each())?;
    let call = size.arguments(BACKWARD, call)?.i32(each);
    let down = product(BACKWARD, &[size.groups(), size.taps.div_ceil(TILE)])?;
    size.launch(BACKWARD, call, down)?;
    let parts = p.scratch.slice(0, scratch_len(size))?;
    fold(gpu, BACKWARD, parts, size.groups(), p.dtaps, None, false)
}
