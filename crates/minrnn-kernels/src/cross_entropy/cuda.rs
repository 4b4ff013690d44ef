//! Cross entropy on CUDA: loss and gradient in one pass.

use crate::Elem;
use crate::cuda::shape::{
    FLOATS, aligned, at_least_one, blocks, check_scratch, int, need_opt, product,
};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "cross_entropy";

/// Blocks that sum the weights: as in the kernels.
const WEIGHT_PARTS: usize = 128;
/// The widest rows that go through shared memory, and bytes that a block of them aims at.
const SMALL: usize = 360;
const TILE: usize = 24 << 10;

/// Elements of f32 scratch that [`step`] and [`correct`] need for logits `[n,v]`.
pub fn scratch_len(_gpu: &Gpu, n: usize, _v: usize) -> usize {
    2 * (WEIGHT_PARTS + n)
}

/// Arguments of [`step`].
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// `[n,v]`, f32, bf16 or f16.
    pub logits: View<'a>,
    /// u32 `[n]`, each below v: the host is to check. One that is not makes the loss NaN, where its weight is not 0.
    pub targets: View<'a>,
    /// f32 `[n]`, finite, not negative, not all 0: the host is to check. Absent: all 1.
    pub weights: Option<View<'a>>,
    /// f32 `[1]`.
    pub loss: View<'a>,
    /// `[n,v]`, the type of the logits, or f32, or (for f32 logits) 16 bits; may be the memory of the logits if its type is theirs.
    pub dlogits: Option<View<'a>>,
    /// f32 `[1]`: the gradient is multiplied by it; absent: 1.
    pub scale: Option<View<'a>>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Rows.
    pub n: usize,
    /// Classes.
    pub v: usize,
}

/// The weighted mean of `log(sum(exp(logits))) - logits[target]` in nats, and its gradient, times a scale where
/// there is one. A row of weight 0 is not looked at, its gradient is 0.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn step(gpu: &Gpu, p: &Step<'_>) -> Result<()> {
    let (n, v) = (p.n, p.v);
    check(gpu, OP, p.logits, p.targets, p.weights, p.scratch, (n, v))?;
    need(OP, "loss", p.loss, &[Elem::F32], 1)?;
    let elem = p.logits.elem();
    let out = p.dlogits.map_or(elem, View::elem);
    let outs: &[Elem] = if elem == Elem::F32 {
        &FLOATS
    } else {
        &[elem, Elem::F32]
    };
    need_opt(OP, "dlogits", p.dlogits, outs, n * v)?;
    need_opt(OP, "scale", p.scale, &[Elem::F32], 1)?;
    if let Some(weights) = p.weights {
        Call::new(gpu, Module::CrossEntropy, "cross_entropy_weights")?
            .view(weights)
            .view(p.scratch)
            .i64(n as i64)
            .launch((WEIGHT_PARTS as u32, 1, 1), (256, 1, 1), 0)?;
    }
    let parts = rows(gpu, p, elem, out)?;
    Call::new(gpu, Module::CrossEntropy, "cross_entropy_loss")?
        .opt(p.weights)
        .view(p.scratch)
        .view(p.loss)
        .i64(n as i64)
        .i64(parts as i64)
        .launch((1, 1, 1), (1024, 1, 1), 0)
}

/// Losses of blocks and the gradient; gives the number of blocks.
fn rows(gpu: &Gpu, p: &Step<'_>, elem: Elem, out: Elem) -> Result<usize> {
    let (n, v) = (p.n, p.v);
    let types = format!("{}_{}", elem.suffix(), out.suffix());
    let begin = |name: String| -> Result<Call<'_>> {
        Ok(Call::new(gpu, Module::CrossEntropy, &name)?
            .view(p.logits)
            .view(p.targets)
            .opt(p.weights)
            .view(p.scratch)
            .opt(p.dlogits)
            .opt(p.scale)
            .i64(n as i64)
            .i32(int(OP, "v", v)?))
    };
    if v <= SMALL {
        let rows = 32 * (TILE / (32 * v * 4)).clamp(1, 8);
        let parts = n.div_ceil(rows);
        begin(format!("cross_entropy_small_{types}"))?
            .i32(rows as i32)
            .launch(
                (blocks(OP, parts)?, 1, 1),
                (256, 1, 1),
                (rows * v * 4) as u32,
            )?;
        return Ok(parts);
    }
    let whole = 16 / elem.size();
    let vec = if v.is_multiple_of(whole) && aligned(&[p.logits, p.dlogits.unwrap_or(p.logits)]) {
        whole
    } else {
        1
    };
    let threads = (v / (4 * vec)).next_power_of_two().clamp(64, 1024) as u32;
    begin(format!("cross_entropy_wide_{types}_v{vec}"))?.launch(
        (blocks(OP, n)?, 1, 1),
        (threads, 1, 1),
        0,
    )?;
    Ok(n)
}

fn check(
    gpu: &Gpu,
    op: &'static str,
    logits: View<'_>,
    targets: View<'_>,
    weights: Option<View<'_>>,
    scratch: View<'_>,
    (n, v): (usize, usize),
) -> Result<()> {
    at_least_one(op, &[("n", n), ("v", v)])?;
    need(op, "logits", logits, &FLOATS, product(op, &[n, v])?)?;
    need(op, "targets", targets, &[Elem::U32], n)?;
    need_opt(op, "weights", weights, &[Elem::F32], n)?;
    check_scratch(op, scratch, scratch_len(gpu, n, v))
}

/// Arguments of [`correct`].
#[derive(Debug, Clone, Copy)]
pub struct Correct<'a> {
    /// `[n,v]`, f32, bf16 or f16.
    pub logits: View<'a>,
    /// u32 `[n]`.
    pub targets: View<'a>,
    /// f32 `[n]`; absent: all 1.
    pub weights: Option<View<'a>>,
    /// u32 `[1]`.
    pub out: View<'a>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Rows.
    pub n: usize,
    /// Classes.
    pub v: usize,
}

/// How many targets of a weight other than 0 are the first largest logit of their row.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn correct(gpu: &Gpu, p: &Correct<'_>) -> Result<()> {
    const CORRECT: &str = "correct";
    let (n, v) = (p.n, p.v);
    check(
        gpu,
        CORRECT,
        p.logits,
        p.targets,
        p.weights,
        p.scratch,
        (n, v),
    )?;
    need(CORRECT, "out", p.out, &[Elem::U32], 1)?;
    let parts = n.div_ceil(8);
    let name = format!("cross_entropy_correct_{}", p.logits.elem().suffix());
    Call::new(gpu, Module::CrossEntropy, &name)?
        .view(p.logits)
        .view(p.targets)
        .opt(p.weights)
        .view(p.scratch)
        .i64(n as i64)
        .i32(int(CORRECT, "v", v)?)
        .launch((blocks(CORRECT, parts)?, 1, 1), (256, 1, 1), 0)?;
    Call::new(gpu, Module::CrossEntropy, "cross_entropy_count")?
        .view(p.scratch)
        .view(p.out)
        .i64(parts as i64)
        .launch((1, 1, 1), (1024, 1, 1), 0)
}
