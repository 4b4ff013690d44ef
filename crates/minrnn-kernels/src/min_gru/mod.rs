//! minGRU: gate and candidate of one projection, fused with the recurrence.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `min_gru.cu` that for CUDA.

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use crate::Candidate;
use crate::dispatch::Level;
use crate::math::Float;
use crate::recurrence::{self, Size, Source};
use crate::tensors::{Input, f32_on_gpu, slice, with_float};

const OP: &str = "min_gru";

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
    let op = MinGru::new(kv, h0, candidate)?;
    kv.contiguous()?
        .apply_op2(&f32_on_gpu(h0)?.contiguous()?, op)
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
    let op = MinGru::new(kv, h0, candidate)?;
    op.size.check_saved(OP, kv, h, dh)?;
    let [kv, h0, h, dh] = recurrence::contiguous([kv, h0, h, dh])?;
    #[cfg(feature = "cuda")]
    if kv.device().is_cuda() {
        let [dkv, dh0] = op.gradients_cuda([&kv, &f32_on_gpu(&h0)?, &h, &dh])?;
        return Ok((dkv, dh0.to_dtype(h0.dtype())?));
    }
    with_float!(OP, kv.dtype(), T => op.gradients::<T>([&kv, &h0, &h, &dh]))
}

struct MinGru {
    size: Size,
    candidate: Candidate,
}

impl MinGru {
    /// The operation for these inputs, if they fit.
    fn new(kv: &Tensor, h0: &Tensor, candidate: Candidate) -> Result<Self> {
        let kv_in = Input::recurrent(OP, "kv", kv)?;
        let (b, t, width) = kv_in.dims3("[B,T,2D]")?;
        if width % 2 != 0 {
            return Err(kv_in.bad_shape("[B,T,2D], the last size even".into()));
        }
        let d = width / 2;
        let h0_in = Input::recurrent(OP, "h0", h0)?.like_or_f32(kv_in)?;
        h0_in.shaped(&[b, d], "[B,D]")?;
        let size = Size { b, t, d };
        Ok(Self { size, candidate })
    }

    fn forward<T: Float>(&self, level: Level, kv: &[T], h0: &[T]) -> Vec<T> {
        let x = Source::packed(kv, self.size, 2);
        match self.candidate {
            Candidate::G => recurrence::forward(level, cpu::Cell::<true>, x, h0, self.size),
            Candidate::Linear => recurrence::forward(level, cpu::Cell::<false>, x, h0, self.size),
        }
    }

    fn gradients<T: Float>(&self, x: [&Tensor; 4]) -> Result<(Tensor, Tensor)> {
        let [kv, h0, h, dh] = x;
        match self.candidate {
            Candidate::G => {
                recurrence::packed_gradients::<T, _>(OP, cpu::Cell::<true>, kv, h0, h, dh)
            }
            Candidate::Linear => {
                recurrence::packed_gradients::<T, _>(OP, cpu::Cell::<false>, kv, h0, h, dh)
            }
        }
    }
}

#[cfg(feature = "cuda")]
impl MinGru {
    fn gradients_cuda(&self, x: [&Tensor; 4]) -> Result<[Tensor; 2]> {
        let to = [(x[0].shape(), x[0].dtype()), (x[1].shape(), x[1].dtype())];
        recurrence::bridge::backward(
            OP,
            self.size,
            x,
            to,
            |gpu, [kv, h0, h, dh], [dkv, dh0], scratch| {
                cuda::backward(
                    gpu,
                    kv,
                    Some(h0),
                    h,
                    dh,
                    dkv,
                    Some(dh0),
                    self.size,
                    self.candidate,
                    scratch,
                )
            },
        )
    }
}

impl CustomOp2 for MinGru {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        kv: &CpuStorage,
        lkv: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(kv), T => {
            let (kv, h0) = (slice::<T>(OP, kv, lkv)?, slice(OP, h0, lh0)?);
            let h = self.forward(Level::best(), kv, h0);
            Ok((T::to_cpu_storage_owned(h), self.size.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        kv: &candle_core::CudaStorage,
        lkv: &Layout,
        h0: &candle_core::CudaStorage,
        lh0: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let inputs = [(kv, lkv), (h0, lh0)];
        recurrence::bridge::forward(OP, self.size, 0, inputs, |gpu, [kv, h0], h, scratch| {
            let (size, candidate) = (self.size, self.candidate);
            cuda::forward(gpu, kv, Some(h0), h, size, candidate, scratch)
        })
    }

    fn bwd(
        &self,
        kv: &Tensor,
        h0: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if kv.device().is_cuda() {
            let [dkv, dh0] = self.gradients_cuda([kv, h0, h, &dh.contiguous()?])?;
            return Ok((Some(dkv), Some(dh0)));
        }
        let (dkv, dh0) = with_float!(OP, kv.dtype(), T => self.gradients::<T>([kv, h0, h, dh]))?;
        Ok((Some(dkv), Some(dh0)))
    }
}
