//! minLSTM: forget gate, input gate and candidate of one projection, fused with the recurrence.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `min_lstm.cu` that for CUDA.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use crate::Candidate;
#[cfg(feature = "cuda")]
use crate::cuda::View;
use crate::dispatch::Level;
use crate::math::Float;
use crate::recurrence::packed::{self, Packed};
use crate::recurrence::{self, Size, Source};

/// The minLSTM layer behind its projection (arXiv 2410.01201, section 3.2 and appendix B).
///
/// `pqv`: `[B,T,3D]`, in each row the forget gate p, the input gate q and the candidate v, D wide
/// each; `h0`: `[B,D]`, taken as it is; the result is h, `[B,T,D]`. f32 or f64, both alike; on a GPU
/// f32, bf16 or f16, h0 alike or f32, the state f32.
/// With `f = sigmoid(p)`, `i = sigmoid(q)` and `c = g(v)` or `v` ([`Candidate`]):
/// - `normalize`: `h[t] = f/(f+i) * h[t-1] + i/(f+i) * c`, from exponentials of numbers that are
///   never positive, so that no p and q give 0/0;
/// - else `h[t] = f * h[t-1] + i * c`, which may grow with T.
///
/// Gradients for `pqv` and `h0`; the gates are computed again in the backward pass.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension (T = 0 too), another element type or device.
pub fn min_lstm(
    pqv: &Tensor,
    h0: &Tensor,
    candidate: Candidate,
    normalize: bool,
) -> Result<Tensor> {
    packed::forward(MinLstm(candidate, normalize), pqv, h0)
}

/// The backward pass alone, for a tape other than candle's: given h, the result, and `dh`, its
/// gradient (both `[B,T,D]`), the gradients of `pqv` and `h0`.
///
/// # Errors
/// As [`min_lstm`], and if `h` or `dh` has another shape, type or device.
pub fn min_lstm_backward(
    pqv: &Tensor,
    h0: &Tensor,
    candidate: Candidate,
    normalize: bool,
    h: &Tensor,
    dh: &Tensor,
) -> Result<(Tensor, Tensor)> {
    packed::backward(MinLstm(candidate, normalize), [pqv, h0, h, dh])
}

/// The candidate, and whether gates are normalised.
#[derive(Clone, Copy)]
struct MinLstm(Candidate, bool);

/// Runs `$body` with `$cell` as the cell that the options ask for.
macro_rules! with_cell {
    ($candidate:expr, $normalize:expr, $cell:ident => $body:expr) => {
        match ($candidate, $normalize) {
            (Candidate::G, true) => {
                let $cell = $crate::min_lstm::cpu::Cell::<true, true>;
                $body
            }
            (Candidate::G, false) => {
                let $cell = $crate::min_lstm::cpu::Cell::<true, false>;
                $body
            }
            (Candidate::Linear, true) => {
                let $cell = $crate::min_lstm::cpu::Cell::<false, true>;
                $body
            }
            (Candidate::Linear, false) => {
                let $cell = $crate::min_lstm::cpu::Cell::<false, false>;
                $body
            }
        }
    };
}

pub(crate) use with_cell;

impl Packed for MinLstm {
    const OP: &'static str = "min_lstm";
    #[cfg(feature = "cuda")]
    const BACKWARD: &'static str = cuda::BACKWARD;
    const INPUT: &'static str = "pqv";
    const PARTS: usize = 3;
    const SHAPE: [&'static str; 2] = ["[B,T,3D]", "a multiple of 3"];

    fn forward<T: Float>(self, pqv: &[T], h0: &[T], size: Size) -> Vec<T> {
        let (level, x) = (Level::best(), Source::packed(pqv, size, Self::PARTS));
        with_cell!(self.0, self.1, cell => recurrence::forward(level, cell, x, h0, size))
    }

    fn gradients<T: Float>(self, [pqv, h0, h, dh]: [&Tensor; 4]) -> Result<(Tensor, Tensor)> {
        let op = Self::OP;
        with_cell!(self.0, self.1, cell => recurrence::packed_gradients::<T, _>(op, cell, pqv, h0, h, dh))
    }

    #[cfg(feature = "cuda")]
    fn cell<'a>(self, op: &'static str, pqv: View<'a>, size: Size) -> recurrence::cuda::Cell<'a> {
        cuda::cell(op, pqv, size, self.0, self.1)
    }
}
