//! Mean squared error: loss and gradient in one pass.

use crate::Elem;
use crate::cuda::shape::{
    FLOATS, aligned, at_least_one, blocks, check_scratch, int, need_opt, product,
};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "mean_square";

/// Blocks that sum the weights; packs of elements of a thread: as in the kernels.
const WEIGHT_PARTS: usize = 128;
const PACKS: usize = 2;

/// Elements of f32 scratch that [`step`] needs for y `[n,w]`.
pub fn scratch_len(_gpu: &Gpu, n: usize, w: usize) -> usize {
    2 * (WEIGHT_PARTS + (n * w).div_ceil(PACKS * 256))
}

/// Arguments of [`step`].
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// `[n,w]`, f32, bf16 or f16.
    pub y: View<'a>,
    /// f32 `[n,w]`; absent: zeros.
    pub targets: Option<View<'a>>,
    /// f32 `[n]`; absent: all 1.
    pub weights: Option<View<'a>>,
    /// f32 `[1]`.
    pub loss: View<'a>,
    /// `[n,w]`, the type of y, or f32, or (for f32 y) 16 bits; may be the memory of y, or of the targets, if its type is theirs.
    pub dy: Option<View<'a>>,
    /// f32 `[1]`: the gradient is multiplied by it; absent: 1.
    pub scale: Option<View<'a>>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Rows.
    pub n: usize,
    /// Channels.
    pub w: usize,
}

/// `sum_n weights[n] * sum_j (y - targets)^2 / (w * sum of weights)`, the sum of weights at least the smallest normal f32,
/// and its gradient, times a scale where there is one.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn step(gpu: &Gpu, p: &Step<'_>) -> Result<()> {
    let (n, w) = (p.n, p.w);
    at_least_one(OP, &[("n", n), ("w", w)])?;
    let elements = product(OP, &[n, w])?;
    need(OP, "y", p.y, &FLOATS, elements)?;
    need_opt(OP, "targets", p.targets, &[Elem::F32], elements)?;
    need_opt(OP, "weights", p.weights, &[Elem::F32], n)?;
    need(OP, "loss", p.loss, &[Elem::F32], 1)?;
    check_scratch(OP, p.scratch, scratch_len(gpu, n, w))?;
    let elem = p.y.elem();
    let outs: &[Elem] = if elem == Elem::F32 {
        &FLOATS
    } else {
        &[elem, Elem::F32]
    };
    need_opt(OP, "dy", p.dy, outs, elements)?;
    need_opt(OP, "scale", p.scale, &[Elem::F32], 1)?;
    let width = int(OP, "w", w)?;
    if let Some(weights) = p.weights {
        Call::new(gpu, Module::MeanSquare, "mean_square_weights")?
            .view(weights)
            .view(p.scratch)
            .i64(n as i64)
            .launch((WEIGHT_PARTS as u32, 1, 1), (256, 1, 1), 0)?;
    }
    let vec = if aligned(&[p.y, p.targets.unwrap_or(p.y), p.dy.unwrap_or(p.y)]) {
        4
    } else {
        1
    };
    let parts = elements.div_ceil(256 * PACKS * vec);
    let out = p.dy.map_or(elem, View::elem);
    let name = format!("mean_square_{}_{}_v{vec}", elem.suffix(), out.suffix());
    Call::new(gpu, Module::MeanSquare, &name)?
        .view(p.y)
        .opt(p.targets)
        .opt(p.weights)
        .view(p.scratch)
        .opt(p.dy)
        .opt(p.scale)
        .i64(n as i64)
        .i32(width)
        .launch((blocks(OP, parts)?, 1, 1), (256, 1, 1), 0)?;
    Call::new(gpu, Module::MeanSquare, "mean_square_loss")?
        .opt(p.weights)
        .view(p.scratch)
        .view(p.loss)
        .i64(n as i64)
        .i32(width)
        .i64(parts as i64)
        .launch((1, 1, 1), (1024, 1, 1), 0)
}
