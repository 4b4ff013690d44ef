//! The global norm of the gradients with its checks, and the update.

use crate::Elem;
use crate::cuda::shape::{aligned, at_least_one, blocks, check_scratch, int, need_opt};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const NORM: &str = "adamw norm";
const UPDATE: &str = "adamw update";

/// Elements that a block sums up: as in the kernel.
const CHUNK: usize = 8192;

/// The fourth word of the latch where the step is left out: as in the kernels.
const LEFT_OUT: u32 = 4;

/// What the fourth word of the latch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Trouble {
    /// The loss is not finite.
    Loss = 1,
    /// A gradient is not finite.
    Gradient = 2,
    /// The square of a gradient is more than f32 holds.
    Square = 3,
}

/// What a latch says: step, parameter and trouble; `None` if nothing happened.
pub fn read_latch(words: [u32; 4]) -> Option<(u64, Option<usize>, Trouble)> {
    let step = u64::from(words[0]) | u64::from(words[1]) << 32;
    let parameter = (words[2] as usize).checked_sub(1);
    let trouble = match words[3] {
        // A step that was left out is no trouble ([`loss_scale`](crate::loss_scale)).
        0 | LEFT_OUT => return None,
        1 => Trouble::Loss,
        2 => Trouble::Gradient,
        _ => Trouble::Square,
    };
    Some((step, parameter, trouble))
}

/// Elements of f32 scratch that [`norm`] needs for n elements, of up to `n / 64 + 1` (at most 65,536) parameters.
pub fn scratch_len(_gpu: &Gpu, n: usize) -> usize {
    needed(n, (n / 64 + 1).min(65_536))
}

/// Two words for each f64: a sum for each part of a parameter in a chunk, and for each parameter.
fn needed(n: usize, parameters: usize) -> usize {
    2 * (n.div_ceil(CHUNK) + 2 * parameters)
}

/// Arguments of [`norm`].
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// f32 `[n]`; what lies between parameters must be 0.
    pub grads: View<'a>,
    /// u32 `[P+1]`: where each parameter begins, growing from 0 on, then n: the host is to check.
    pub segments: View<'a>,
    /// f32 `[1]`: a loss that must be finite.
    pub loss: Option<View<'a>>,
    /// The gradient is scaled down to this norm where it is longer.
    pub clip_norm: Option<f64>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// f32 `[1]`: what the gradients were multiplied by, a power of two: norm and limit are of those without it, which the factor takes away.
    pub scale: Option<View<'a>>,
    /// f32 `[2]`: norm before clipping, and factor by which the gradient is to be multiplied.
    pub report: View<'a>,
    /// u32 `[4]`, see [`read_latch`]: the first trouble stays there until the host clears it.
    pub latch: View<'a>,
    /// u32 `[16]`: the step is read.
    pub control: View<'a>,
}

/// The norm of all gradients in f64, the factor of clipping, and the first trouble: a loss that is not finite, else the
/// first parameter whose gradient is not, else the first whose clipped gradient has a square sum beyond f32.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where a launch fails.
pub fn norm(gpu: &Gpu, p: &Norm<'_>) -> Result<()> {
    let (n, parameters) = (p.grads.len(), p.segments.len().saturating_sub(1));
    at_least_one(NORM, &[("n", n), ("parameters", parameters)])?;
    int(NORM, "n", n)?;
    need(NORM, "grads", p.grads, &[Elem::F32], n)?;
    need(NORM, "segments", p.segments, &[Elem::U32], parameters + 1)?;
    need_opt(NORM, "loss", p.loss, &[Elem::F32], 1)?;
    need_opt(NORM, "scale", p.scale, &[Elem::F32], 1)?;
    need(NORM, "report", p.report, &[Elem::F32], 2)?;
    check_state(NORM, p.latch, p.control)?;
    check_scratch(NORM, p.scratch, needed(n, parameters))?;
    let limit = p.clip_norm.unwrap_or(0.0);
    if p.clip_norm.is_some() && !(limit > 0.0 && limit.is_finite()) {
        return Err(CudaError::Value {
            op: NORM,
            problem: format!("`clip_norm` is {limit}, but must be more than 0"),
        });
    }
    let chunks = n.div_ceil(CHUNK);
    let pieces = p.scratch.slice(0, 2 * (chunks + parameters))?;
    let sums = p.scratch.slice(pieces.len(), 2 * parameters)?;
    let count = int(NORM, "parameters", parameters)?;
    Call::new(gpu, Module::Adamw, "adamw_squares")?
        .view(p.grads)
        .view(p.segments)
        .view(pieces)
        .i64(n as i64)
        .i32(count)
        .launch((blocks(NORM, chunks)?, 1, 1), (256, 1, 1), 0)?;
    Call::new(gpu, Module::Adamw, "adamw_norm")?
        .view(pieces)
        .view(p.segments)
        .view(sums)
        .opt(p.loss)
        .view(p.report)
        .view(p.latch)
        .view(p.control)
        .opt(p.scale)
        .i64(limit.to_bits().cast_signed())
        .i32(count)
        .launch((1, 1, 1), (1024, 1, 1), 0)
}

fn check_state(op: &'static str, latch: View<'_>, control: View<'_>) -> Result<()> {
    need(op, "latch", latch, &[Elem::U32], 4)?;
    need(op, "control", control, &[Elem::U32], 16)
}

/// Arguments of [`update`].
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// f32 `[n]`.
    pub params: View<'a>,
    /// f32 `[n]`.
    pub grads: View<'a>,
    /// First moments, f32 `[n]`.
    pub first: View<'a>,
    /// Second moments, f32 `[n]`.
    pub second: View<'a>,
    /// bf16 or f16 `[n]`: gets the new parameters.
    pub shadow: Option<View<'a>>,
    /// Elements, from the first, to which decay applies.
    pub decayed: usize,
    /// Memory of the first moments.
    pub beta1: f64,
    /// Memory of the second moments.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay, times the learning rate.
    pub weight_decay: f64,
    /// Of [`norm`].
    pub report: View<'a>,
    /// Of [`norm`]: where it holds trouble, nothing is changed.
    pub latch: View<'a>,
    /// u32 `[16]`: words 4 to 6 are the learning rate, `1 / (1 - beta1^t)`, `1 / (1 - beta2^t)`, as bits of f32.
    pub control: View<'a>,
}

/// One AdamW step: with g the gradient times the factor of clipping,
/// `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
/// `w = (1 - lr decay) w - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`,
/// every product and sum rounded to f32 as on the CPU. No two views may be the same memory.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn update(gpu: &Gpu, p: &Update<'_>) -> Result<()> {
    let n = p.params.len();
    at_least_one(UPDATE, &[("n", n)])?;
    int(UPDATE, "n", n)?;
    for (name, view) in [
        ("params", p.params),
        ("grads", p.grads),
        ("first", p.first),
        ("second", p.second),
    ] {
        need(UPDATE, name, view, &[Elem::F32], n)?;
    }
    need_opt(UPDATE, "shadow", p.shadow, &[Elem::Bf16, Elem::F16], n)?;
    need(UPDATE, "report", p.report, &[Elem::F32], 2)?;
    check_state(UPDATE, p.latch, p.control)?;
    if p.decayed > n {
        return Err(CudaError::Value {
            op: UPDATE,
            problem: format!("`decayed` is {}, but must be at most {n}", p.decayed),
        });
    }
    let views = [
        p.params,
        p.grads,
        p.first,
        p.second,
        p.shadow.unwrap_or(p.params),
    ];
    let vec = if aligned(&views) { 4 } else { 1 };
    let shadow = p.shadow.map_or(Elem::F32, View::elem);
    let name = format!("adamw_update_{}_v{vec}", shadow.suffix());
    Call::new(gpu, Module::Adamw, &name)?
        .view(p.params)
        .view(p.grads)
        .view(p.first)
        .view(p.second)
        .opt(p.shadow)
        .view(p.control)
        .view(p.report)
        .view(p.latch)
        .f32(p.beta1 as f32)
        .f32((1.0 - p.beta1) as f32)
        .f32(p.beta2 as f32)
        .f32((1.0 - p.beta2) as f32)
        .f32(p.eps as f32)
        .i64(p.weight_decay.to_bits().cast_signed())
        .i64(n as i64)
        .i64(p.decayed as i64)
        .launch(
            (blocks(UPDATE, n.div_ceil(256 * vec))?, 1, 1),
            (256, 1, 1),
            0,
        )
}
