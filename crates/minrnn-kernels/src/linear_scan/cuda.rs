//! The linear recurrence on CUDA.

use crate::Size;
use crate::cuda::{Gpu, Module, Result, View};
use crate::recurrence::cuda::{Cell, Gradients};

const OP: &str = "linear_scan";
const BACKWARD: &str = "linear_scan backward";

pub(super) fn cell<'a>(op: &'static str, a: View<'a>, b: Option<View<'a>>, size: Size) -> Cell<'a> {
    Cell {
        op,
        module: Module::LinearScan,
        kind: "any",
        all: true,
        parts: 2,
        split: true,
        x: a,
        y: b,
        size,
    }
}

/// `h[t] = a[t] * h[t-1] + b[t]`: the state is f32 from `h0` to the last step, and rounded where it is written.
///
/// `a`: f32 `[B,T,D]`; `b`, `h`: `[B,T,D]`, of one type (f32, bf16 or f16); `h0`: f32 `[B,D]`, absent: zeros; `scratch`: f32, see
/// [`scratch_len`](crate::recurrence::cuda::scratch_len). No two may be the same memory.
///
/// Where |a| > 1, products of a over a stretch of steps may overflow although the states do not: h is then infinite or NaN.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, sizes of 0 or beyond 2^31 (T: 2^30), too little scratch,
/// or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    a: View<'_>,
    b: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
    scratch: View<'_>,
) -> Result<()> {
    cell(OP, a, Some(b), size).forward(gpu, h0, h, scratch)
}

/// The gradients of [`forward`], given h and `dh`, its gradient: `da` f32 and `db`, of the type of h, both `[B,T,D]`, and
/// `dh0`, f32 `[B,D]`, where it is wanted. `da` may be the memory of `a`, and `db` that of `dh`; no others may be the same.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward(
    gpu: &Gpu,
    a: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    da: View<'_>,
    db: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
    scratch: View<'_>,
) -> Result<()> {
    let to = Gradients {
        x: da,
        y: Some(db),
        h0: dh0,
    };
    cell(BACKWARD, a, None, size).backward(gpu, h0, [h, dh], to, scratch)
}

/// [`forward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
pub fn forward_simple(
    gpu: &Gpu,
    a: View<'_>,
    b: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
) -> Result<()> {
    cell(OP, a, Some(b), size).forward_simple(gpu, h0, h)
}

/// [`backward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward_simple(
    gpu: &Gpu,
    a: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    da: View<'_>,
    db: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
) -> Result<()> {
    let to = Gradients {
        x: da,
        y: Some(db),
        h0: dh0,
    };
    cell(BACKWARD, a, None, size).backward_simple(gpu, h0, [h, dh], to)
}
