//! `h[t] = a[t] * h[t-1] + b[t]`, elementwise over channels: the recurrence of every cell.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `linear_scan.cu` that for CUDA.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use crate::dispatch::Level;
use crate::math::Float;
use crate::recurrence::{self, Saved, Size};
use crate::tensors::{Input, f32_on_gpu, hold, slice, with_float};

const OP: &str = "linear_scan";

/// The linear recurrence `h[t] = a[t] * h[t-1] + b[t]` with `h[-1] = h0`.
///
/// `a`, `b`: `[B,T,D]`; `h0`: `[B,D]`; the result is h, `[B,T,D]`. f32 or f64, all alike; on a GPU b is f32, bf16
/// or f16, a and h0 alike or f32, the state f32.
/// Each step multiplies, rounds, adds, rounds (no fused multiply-add), so a sequence cut into
/// chunks, or taken step by step, with the last state carried over gives the same bits.
/// Gradients for `a`, `b` and `h0`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension (T = 0 too), another element type or device.
pub fn linear_scan(a: &Tensor, b: &Tensor, h0: &Tensor) -> Result<Tensor> {
    let op = LinearScan::new(a, b, h0)?;
    let (a, h0) = (f32_on_gpu(a)?, f32_on_gpu(h0)?);
    a.contiguous()?
        .apply_op3(&b.contiguous()?, &h0.contiguous()?, op)
}

/// The backward pass alone, for a tape other than candle's: given h, the result, and `dh`, its
/// gradient (both `[B,T,D]`), the gradients of `a`, `b` and `h0`.
///
/// # Errors
/// As [`linear_scan`], and if `h` or `dh` has another shape, type or device.
pub fn linear_scan_backward(
    a: &Tensor,
    b: &Tensor,
    h0: &Tensor,
    h: &Tensor,
    dh: &Tensor,
) -> Result<[Tensor; 3]> {
    let op = LinearScan::new(a, b, h0)?;
    op.size.check_saved(OP, b, h, dh)?;
    let x = recurrence::contiguous([a, b, h0, h, dh])?;
    #[cfg(feature = "cuda")]
    if a.device().is_cuda() {
        let (wide_a, wide_h0) = (f32_on_gpu(&x[0])?, f32_on_gpu(&x[2])?);
        let [da, db, dh0] = op.gradients_cuda([&wide_a, &wide_h0, &x[3], &x[4]])?;
        return Ok([da.to_dtype(a.dtype())?, db, dh0.to_dtype(h0.dtype())?]);
    }
    with_float!(OP, a.dtype(), T => op.gradients::<T>(x.each_ref()))
}

struct LinearScan {
    size: Size,
}

impl LinearScan {
    /// The operation for these inputs, if they fit.
    fn new(a: &Tensor, b: &Tensor, h0: &Tensor) -> Result<Self> {
        let a_in = Input::recurrent(OP, "a", a)?;
        let (batch, t, d) = a_in.dims3("[B,T,D]")?;
        let b_in = Input::recurrent(OP, "b", b)?;
        a_in.like_or_f32(b_in)?;
        b_in.shaped(&[batch, t, d], "[B,T,D] of a")?;
        let h0_in = Input::recurrent(OP, "h0", h0)?.like_or_f32(b_in)?;
        h0_in.shaped(&[batch, d], "[B,D]")?;
        let size = Size { b: batch, t, d };
        Ok(Self { size })
    }

    fn gradients<T: Float>(&self, [a, b, h0, h, dh]: [&Tensor; 5]) -> Result<[Tensor; 3]> {
        let held = [a, b, h0, h, dh].map(|x| hold(OP, x));
        let [da, db, dh0] = cpu::gradients::<T>(
            Level::best(),
            held[0].slice()?,
            held[1].slice()?,
            Saved {
                h0: held[2].slice()?,
                h: held[3].slice()?,
                dh: held[4].slice()?,
            },
            self.size,
        );
        Ok([
            Tensor::from_vec(da, a.shape(), a.device())?,
            Tensor::from_vec(db, b.shape(), b.device())?,
            Tensor::from_vec(dh0, h0.shape(), h0.device())?,
        ])
    }
}

#[cfg(feature = "cuda")]
impl LinearScan {
    /// From a, h0, h and dh; the gradient of b is shaped and typed like dh.
    fn gradients_cuda(&self, x: [&Tensor; 4]) -> Result<[Tensor; 3]> {
        let [a, h0, _, dh] = x;
        let like = |x: &Tensor| (x.shape().clone(), x.dtype());
        let shapes = [like(a), like(dh), like(h0)];
        let to = shapes.each_ref().map(|(shape, dtype)| (shape, *dtype));
        recurrence::bridge::backward(
            OP,
            self.size,
            x,
            to,
            |gpu, [a, h0, h, dh], [da, db, dh0], scratch| {
                let size = self.size;
                cuda::backward(gpu, a, Some(h0), h, dh, da, db, Some(dh0), size, scratch)
            },
        )
    }
}

impl CustomOp3 for LinearScan {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(a), T => {
            let (a, b, h0) = (slice::<T>(OP, a, la)?, slice(OP, b, lb)?, slice(OP, h0, lh0)?);
            let h = cpu::scan(Level::best(), a, b, h0, self.size);
            Ok((T::to_cpu_storage_owned(h), self.size.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &candle_core::CudaStorage,
        la: &Layout,
        b: &candle_core::CudaStorage,
        lb: &Layout,
        h0: &candle_core::CudaStorage,
        lh0: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let inputs = [(a, la), (b, lb), (h0, lh0)];
        recurrence::bridge::forward(OP, self.size, 1, inputs, |gpu, [a, b, h0], h, scratch| {
            cuda::forward(gpu, a, b, Some(h0), h, self.size, scratch)
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        h0: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dh = dh.contiguous()?;
        #[cfg(feature = "cuda")]
        if b.device().is_cuda() {
            let [da, db, dh0] = self.gradients_cuda([a, h0, h, &dh])?;
            return Ok((Some(da), Some(db), Some(dh0)));
        }
        let [da, db, dh0] =
            with_float!(OP, a.dtype(), T => self.gradients::<T>([a, b, h0, h, &dh]))?;
        Ok((Some(da), Some(db), Some(dh0)))
    }
}
