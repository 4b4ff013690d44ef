//! minGRU on CUDA.

use crate::Candidate;
use crate::Size;
use crate::cuda::{Gpu, Module, Result, View};
use crate::recurrence::cuda::{Cell, Gradients};

pub(super) fn cell<'a>(
    op: &'static str,
    kv: View<'a>,
    size: Size,
    candidate: Candidate,
) -> Cell<'a> {
    Cell {
        op,
        module: Module::MinGru,
        kind: match candidate {
            Candidate::G => "g",
            Candidate::Linear => "linear",
        },
        all: true,
        parts: 2,
        split: false,
        x: kv,
        y: None,
        size,
    }
}

const OP: &str = "min_gru";
pub(super) const BACKWARD: &str = "min_gru backward";

/// h, `[B,T,D]`, of [`min_gru`](crate::min_gru()): the state is f32 from `h0` to the last step, and rounded where it is written.
///
/// `kv`: `[B,T,2D]`, of the type of `h` (f32, bf16 or f16); `h0`: f32 `[B,D]`, absent: zeros; `scratch`: f32, see
/// [`scratch_len`](crate::recurrence::cuda::scratch_len). No two may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, sizes of 0 or beyond 2^31 (T: 2^30), too little scratch,
/// or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    kv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
    candidate: Candidate,
    scratch: View<'_>,
) -> Result<()> {
    cell(OP, kv, size, candidate).forward(gpu, h0, h, scratch)
}

/// The gradients of [`forward`], given `dh`, the gradient of h: `dkv` `[B,T,2D]`, of the type of h, and `dh0`, f32 `[B,D]`,
/// where it is wanted. `dkv` may be the memory of `kv`; no others may be the same.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward(
    gpu: &Gpu,
    kv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    dkv: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
    candidate: Candidate,
    scratch: View<'_>,
) -> Result<()> {
    let to = Gradients {
        x: dkv,
        y: None,
        h0: dh0,
    };
    cell(BACKWARD, kv, size, candidate).backward(gpu, h0, [h, dh], to, scratch)
}

/// [`forward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
pub fn forward_simple(
    gpu: &Gpu,
    kv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    size: Size,
    candidate: Candidate,
) -> Result<()> {
    cell(OP, kv, size, candidate).forward_simple(gpu, h0, h)
}

/// [`backward`] by the plain kernel, one thread a channel: for comparison.
///
/// # Errors
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "the tensors of one operation")]
pub fn backward_simple(
    gpu: &Gpu,
    kv: View<'_>,
    h0: Option<View<'_>>,
    h: View<'_>,
    dh: View<'_>,
    dkv: View<'_>,
    dh0: Option<View<'_>>,
    size: Size,
    candidate: Candidate,
) -> Result<()> {
    let to = Gradients {
        x: dkv,
        y: None,
        h0: dh0,
    };
    cell(BACKWARD, kv, size, candidate).backward_simple(gpu, h0, [h, dh], to)
}
