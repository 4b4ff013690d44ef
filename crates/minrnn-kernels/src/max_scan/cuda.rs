//! The scan on CUDA, f32.

use crate::cuda::shape::{at_least_one, blocks, int, need_opt, product};
use crate::cuda::{Call, Gpu, Module, Result, View, need};
use crate::{Elem, Size};

const OP: &str = "max_scan";
const F32: &[Elem] = &[Elem::F32];

/// Threads of a block, as in `max_scan.cu`.
const THREADS: u32 = 256;

/// Channels that lie side by side in a block: a power of two up to a warp.
fn lanes(size: Size) -> usize {
    size.d.next_power_of_two().min(32)
}

/// Launches `name` with the sizes as its last arguments.
fn launch(call: Call<'_>, op: &'static str, size: Size) -> Result<()> {
    let lanes = lanes(size);
    let grid = product(op, &[size.b, size.d.div_ceil(lanes)])?;
    call.i32(int(op, "t", size.t)?)
        .i32(int(op, "d", size.d)?)
        .i32(lanes as i32)
        .launch((blocks(op, grid)?, 1, 1), (THREADS, 1, 1), 0)
}

fn check(op: &'static str, size: Size, h0: Option<View<'_>>) -> Result<usize> {
    let Size { b, t, d } = size;
    at_least_one(op, &[("b", b), ("t", t), ("d", d)])?;
    need_opt(op, "h0", h0, F32, b * d)?;
    product(op, &[b, t, d])
}

/// h `[B,T,D]` of b `[B,T,D]` and h0 `[B,D]` (absent: zeros).
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, sizes of 0, or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    b: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
) -> Result<()> {
    let n = check(OP, size, h0)?;
    need(OP, "b", b, F32, n)?;
    need(OP, "h", h, F32, n)?;
    let call = Call::new(gpu, Module::MaxScan, "max_scan_fwd")?;
    launch(call.view(b).opt(h0).view(h), OP, size)
}

/// What [`backward`] reads and writes; b, h and gradients of them are `[B,T,D]`, h0 and its gradient `[B,D]`.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// As [`forward`] read it.
    pub b: View<'a>,
    /// As [`forward`] read it.
    pub h0: Option<View<'a>>,
    /// As [`forward`] wrote it.
    pub h: View<'a>,
    /// The gradient of h.
    pub dh: View<'a>,
    /// That of b.
    pub db: View<'a>,
    /// That of h0, if it is wanted.
    pub dh0: Option<View<'a>>,
}

/// The gradients of [`forward`]; sums over time have an order that depends on the sizes alone. No two may be the same memory.
///
/// # Errors
/// As [`forward`].
pub fn backward(gpu: &Gpu, x: &Backward<'_>, size: Size) -> Result<()> {
    const OP: &str = "max_scan backward";
    let n = check(OP, size, x.h0)?;
    for (name, view) in [("b", x.b), ("h", x.h), ("dh", x.dh), ("db", x.db)] {
        need(OP, name, view, F32, n)?;
    }
    need_opt(OP, "dh0", x.dh0, F32, size.b * size.d)?;
    let call = Call::new(gpu, Module::MaxScan, "max_scan_bwd")?
        .view(x.b)
        .opt(x.h0)
        .view(x.h)
        .view(x.dh)
        .view(x.db)
        .opt(x.dh0);
    launch(call, OP, size)
}
