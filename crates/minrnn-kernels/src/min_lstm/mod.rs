//! minLSTM: forget gate, input gate and candidate of one projection, fused with the recurrence.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `min_lstm.cu` that for CUDA.

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

const OP: &str = "min_lstm";

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
    let op = MinLstm::new(pqv, h0, candidate, normalize)?;
    pqv.contiguous()?
        .apply_op2(&f32_on_gpu(h0)?.contiguous()?, op)
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
    let op = MinLstm::new(pqv, h0, candidate, normalize)?;
    op.size.check_saved(OP, pqv, h, dh)?;
    let [pqv, h0, h, dh] = recurrence::contiguous([pqv, h0, h, dh])?;
    #[cfg(feature = "cuda")]
    if pqv.device().is_cuda() {
        let [dpqv, dh0] = op.gradients_cuda([&pqv, &f32_on_gpu(&h0)?, &h, &dh])?;
        return Ok((dpqv, dh0.to_dtype(h0.dtype())?));
    }
    with_float!(OP, pqv.dtype(), T => op.gradients::<T>([&pqv, &h0, &h, &dh]))
}

struct MinLstm {
    size: Size,
    candidate: Candidate,
    normalize: bool,
}

/// Runs `$body` with `$cell` as the cell that the options of `$op` ask for.
macro_rules! with_cell {
    ($op:expr, $cell:ident => $body:expr) => {
        match ($op.candidate, $op.normalize) {
            (Candidate::G, true) => {
                let $cell = cpu::Cell::<true, true>;
                $body
            }
            (Candidate::G, false) => {
                let $cell = cpu::Cell::<true, false>;
                $body
            }
            (Candidate::Linear, true) => {
                let $cell = cpu::Cell::<false, true>;
                $body
            }
            (Candidate::Linear, false) => {
                let $cell = cpu::Cell::<false, false>;
                $body
            }
        }
    };
}

impl MinLstm {
    /// The operation for these inputs, if they fit.
    fn new(pqv: &Tensor, h0: &Tensor, candidate: Candidate, normalize: bool) -> Result<Self> {
        let pqv_in = Input::recurrent(OP, "pqv", pqv)?;
        let (b, t, width) = pqv_in.dims3("[B,T,3D]")?;
        if width % 3 != 0 {
            return Err(pqv_in.bad_shape("[B,T,3D], the last size a multiple of 3".into()));
        }
        let d = width / 3;
        let h0_in = Input::recurrent(OP, "h0", h0)?.like_or_f32(pqv_in)?;
        h0_in.shaped(&[b, d], "[B,D]")?;
        Ok(Self {
            size: Size { b, t, d },
            candidate,
            normalize,
        })
    }

    fn forward<T: Float>(&self, level: Level, pqv: &[T], h0: &[T]) -> Vec<T> {
        let x = Source::packed(pqv, self.size, 3);
        with_cell!(self, cell => recurrence::forward(level, cell, x, h0, self.size))
    }

    fn gradients<T: Float>(&self, [pqv, h0, h, dh]: [&Tensor; 4]) -> Result<(Tensor, Tensor)> {
        with_cell!(self, cell => recurrence::packed_gradients::<T, _>(OP, cell, pqv, h0, h, dh))
    }
}

#[cfg(feature = "cuda")]
impl MinLstm {
    fn gradients_cuda(&self, x: [&Tensor; 4]) -> Result<[Tensor; 2]> {
        let to = [(x[0].shape(), x[0].dtype()), (x[1].shape(), x[1].dtype())];
        recurrence::bridge::backward(
            OP,
            self.size,
            x,
            to,
            |gpu, [pqv, h0, h, dh], [dpqv, dh0], scratch| {
                cuda::backward(
                    gpu,
                    pqv,
                    Some(h0),
                    h,
                    dh,
                    dpqv,
                    Some(dh0),
                    self.size,
                    self.candidate,
                    self.normalize,
                    scratch,
                )
            },
        )
    }
}

impl CustomOp2 for MinLstm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        pqv: &CpuStorage,
        lpqv: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(pqv), T => {
            let (pqv, h0) = (slice::<T>(OP, pqv, lpqv)?, slice(OP, h0, lh0)?);
            let h = self.forward(Level::best(), pqv, h0);
            Ok((T::to_cpu_storage_owned(h), self.size.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        pqv: &candle_core::CudaStorage,
        lpqv: &Layout,
        h0: &candle_core::CudaStorage,
        lh0: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let inputs = [(pqv, lpqv), (h0, lh0)];
        recurrence::bridge::forward(OP, self.size, 0, inputs, |gpu, [pqv, h0], h, scratch| {
            let (size, candidate) = (self.size, self.candidate);
            cuda::forward(
                gpu,
                pqv,
                Some(h0),
                h,
                size,
                candidate,
                self.normalize,
                scratch,
            )
        })
    }

    fn bwd(
        &self,
        pqv: &Tensor,
        h0: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if pqv.device().is_cuda() {
            let [dpqv, dh0] = self.gradients_cuda([pqv, h0, h, &dh.contiguous()?])?;
            return Ok((Some(dpqv), Some(dh0)));
        }
        let (dpqv, dh0) = with_float!(OP, pqv.dtype(), T => self.gradients::<T>([pqv, h0, h, dh]))?;
        Ok((Some(dpqv), Some(dh0)))
    }
}
