//! minGRU: gate and candidate of one projection, fused with the recurrence.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `min_gru.cu` that for CUDA.

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

/// The minGRU layer behind its projection (arXiv 2410.01201, section 3.1 and appendix B).
///
/// `kv`: `[B,T,2D]`, gate k in the first D of each row and candidate v in the last; `h0`: `[B,D]`,
/// taken as it is; the result is h, `[B,T,D]`. f32 or f64, both alike; on a GPU f32, bf16 or
/// f16, h0 alike or f32, the state f32. With `z = sigmoid(k)`,
/// `h[t] = sigmoid(-k[t]) * h[t-1] + z[t] * c[t]`, where `c` is `g(v)` or `v` ([`Candidate`]).
/// Gradients for `kv` and `h0`; the gates are computed again in the backward pass. The slope of
/// `g` at 0 is taken from the right.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension (T = 0 too), another element type or device.
pub fn min_gru(kv: &Tensor, h0: &Tensor, candidate: Candidate) -> Result<Tensor> {
    packed::forward(MinGru(candidate), kv, h0)
}

/// The backward pass alone, for a tape other than candle's: given h, the result, and `dh`, its
/// gradient (both `[B,T,D]`), the gradients of `kv` and `h0`.
///
/// # Errors
/// As [`min_gru`], and if `h` or `dh` has another shape, type or device.
pub fn min_gru_backward(
    kv: &Tensor,
    h0: &Tensor,
    candidate: Candidate,
    h: &Tensor,
    dh: &Tensor,
) -> Result<(Tensor, Tensor)> {
    packed::backward(MinGru(candidate), [kv, h0, h, dh])
}

#[derive(Clone, Copy)]
struct MinGru(Candidate);

impl Packed for MinGru {
    const OP: &'static str = "min_gru";
    #[cfg(feature = "cuda")]
    const BACKWARD: &'static str = cuda::BACKWARD;
    const INPUT: &'static str = "kv";
    const PARTS: usize = 2;
    const SHAPE: [&'static str; 2] = ["[B,T,2D]", "even"];

    fn forward<T: Float>(self, kv: &[T], h0: &[T], size: Size) -> Vec<T> {
        let (level, x) = (Level::best(), Source::packed(kv, size, Self::PARTS));
        match self.0 {
            Candidate::G => recurrence::forward(level, cpu::Cell::<true>, x, h0, size),
            Candidate::Linear => recurrence::forward(level, cpu::Cell::<false>, x, h0, size),
        }
    }

    fn gradients<T: Float>(self, [kv, h0, h, dh]: [&Tensor; 4]) -> Result<(Tensor, Tensor)> {
        let op = Self::OP;
        match self.0 {
            Candidate::G => {
                recurrence::packed_gradients::<T, _>(op, cpu::Cell::<true>, kv, h0, h, dh)
            }
            Candidate::Linear => {
                recurrence::packed_gradients::<T, _>(op, cpu::Cell::<false>, kv, h0, h, dh)
            }
        }
    }

    #[cfg(feature = "cuda")]
    fn cell<'a>(self, op: &'static str, kv: View<'a>, size: Size) -> recurrence::cuda::Cell<'a> {
        cuda::cell(op, kv, size, self.0)
    }
}
