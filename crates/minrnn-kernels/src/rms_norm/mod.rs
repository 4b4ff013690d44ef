//! Root mean square normalisation.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel; on a GPU `norm` has that of both normalisations.

mod cpu;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{Input, hold, slice, with_float};

const OP: &str = "rms_norm";

/// `y = x / sqrt(mean(x^2) + eps) * weight` over the last dimension (arXiv 1910.07467).
///
/// `x`: `[..,M]`; `weight`: `[M]`; the result is shaped like `x`. f32 or f64, both alike.
/// Gradients for `x` and `weight`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension, another element type or device, or an `eps` that is not positive and finite.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let x_in = Input::float(OP, "x", x)?;
    let (_, width) = x_in.rows("[..,M]")?;
    Input::float(OP, "weight", weight)?
        .like(x_in)?
        .shaped(&[width], "[M]")?;
    crate::tensors::check_eps(OP, eps)?;
    x.contiguous()?
        .apply_op2(&weight.contiguous()?, RmsNorm { eps })
}

struct RmsNorm {
    eps: f64,
}

impl RmsNorm {
    fn gradients<T: Float>(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
        let (held_x, held_w, held_dy) = (hold(OP, x), hold(OP, w), hold(OP, dy));
        let (x_s, w_s, dy_s) = (
            held_x.slice::<T>()?,
            held_w.slice::<T>()?,
            held_dy.slice::<T>()?,
        );
        let (dx, dw) = cpu::backward(Level::best(), x_s, w_s, dy_s, T::of(self.eps));
        Ok((
            Tensor::from_vec(dx, x.shape(), x.device())?,
            Tensor::from_vec(dw, w.shape(), w.device())?,
        ))
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let (x, w) = (slice::<T>(OP, x, lx)?, slice(OP, w, lw)?);
            let y = cpu::forward(Level::best(), x, w, T::of(self.eps));
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
        w: &candle_core::CudaStorage,
        lw: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        crate::norm::bridge::forward(OP, [(x, lx), (w, lw)], self.eps)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw] = crate::norm::bridge::backward(OP, [x, w], &dy, self.eps)?;
            return Ok((Some(dx), Some(dw)));
        }
        let (dx, dw) = with_float!(OP, x.dtype(), T => self.gradients::<T>(x, w, &dy))?;
        Ok((Some(dx), Some(dw)))
    }
}
