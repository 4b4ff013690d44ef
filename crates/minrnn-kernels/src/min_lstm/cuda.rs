//! minLSTM on CUDA.

use crate::Candidate;
use crate::Size;
use crate::cuda::{Gpu, Module, Result, View};
use crate::recurrence::cuda::{Cell, Gradients};

pub(super) fn cell<'a>(
    op: &'static str,
    pqv: View<'a>,
    size: Size,
    candidate: Candidate,
    normalize: bool,
) -> Cell<'a> {
    Cell {
        op,
        module: Module::MinLstm,
        kind: match (candidate, normalize) {
            (Candidate::G, true) => "g_normalized",
            (Candidate::Linear, true) => "linear_normalized",
            (Candidate::G, false) => "g",
            (Candidate::Linear, false) => "linear",
        },
        all: normalize,
        parts: 3,
        split: false,
        x: pqv,
        y: None,
        size,
    }
}

const OP: &str = "min_lstm";
pub(super) const BACKWARD: &str = "min_lstm backward";

/// h, `[B,T,D]`, of [`min_lstm`](crate::min_lstm()): the state is f32 from `h0` to the last step, and rounded where it is written.
///
/// `pqv`: `[B,T,3D]`, of the type of `h` (f32, bf16 or f16); `h0`: f32 `[B,D]`, absent: zeros; `scratch`: f32, see
/// [`scratch_len`](crate::recurrence::cuda::scratch_len). No two may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, sizes of 0 or beyond 2^31 (T: 2^30), too little scratch,
/// or where the launch fails.
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn forward(
    gpu: &Gpu,
    pqv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
    candidate: Candidate,
    normalize: bool,
    scratch: View<'_>,
) -> Result<()> {
    cell(OP, pqv, size, candidate, normalize).forward(gpu, h0, h, scratch)
}

/// The gradients of [`forward`], given `dh`, the gradient of h: `dpqv` `[B,T,3D]`, of the type of h, and `dh0`, f32 `[B,D]`,
/// where it is wanted. `dpqv` may be the memory of `pqv`; no others may be the same.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward(
    gpu: &Gpu,
    pqv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    dpqv: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
    candidate: Candidate,
    normalize: bool,
    scratch: View<'_>,
) -> Result<()> {
    let to = Gradients {
        x: dpqv,
        y: None,
        h0: dh0,
    };
    cell(BACKWARD, pqv, size, candidate, normalize).backward(gpu, h0, [h, dh], to, scratch)
}

/// [`forward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
pub fn forward_simple(
    gpu: &Gpu,
    pqv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
    candidate: Candidate,
    normalize: bool,
) -> Result<()> {
    cell(OP, pqv, size, candidate, normalize).forward_simple(gpu, h0, h)
}

/// [`backward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward_simple(
    gpu: &Gpu,
    pqv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    dpqv: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
    candidate: Candidate,
    normalize: bool,
) -> Result<()> {
    let to = Gradients {
        x: dpqv,
        y: None,
        h0: dh0,
    };
    cell(BACKWARD, pqv, size, candidate, normalize).backward_simple(gpu, h0, [h, dh], to)
}
