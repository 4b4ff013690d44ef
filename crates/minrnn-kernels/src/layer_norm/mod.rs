//! Layer normalisation.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel; on a GPU `norm` has that of both normalisations.

mod cpu;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{Input, hold, slice, with_float};

const OP: &str = "layer_norm";

/// `y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last dimension
/// (arXiv 1607.06450; ONNX `LayerNormalization`), the variance divided by M.
///
/// `x`: `[..,M]`; `weight`, `bias`: `[M]`; the result is shaped like `x`. f32 or f64, all alike.
/// Gradients for all three.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension, another element type or device, or an `eps` that is not positive and finite.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let x_in = Input::float(OP, "x", x)?;
    let (_, width) = x_in.rows("[..,M]")?;
    for (name, tensor) in [("weight", weight), ("bias", bias)] {
        Input::float(OP, name, tensor)?
            .like(x_in)?
            .shaped(&[width], "[M]")?;
    }
    crate::tensors::check_eps(OP, eps)?;
    x.contiguous()?.apply_op3(
        &weight.contiguous()?,
        &bias.contiguous()?,
        LayerNorm { eps },
    )
}

struct LayerNorm {
    eps: f64,
}

impl LayerNorm {
    fn gradients<T: Float>(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<[Tensor; 3]> {
        let (held_x, held_w, held_dy) = (hold(OP, x), hold(OP, w), hold(OP, dy));
        let (x_s, w_s, dy_s) = (
            held_x.slice::<T>()?,
            held_w.slice::<T>()?,
            held_dy.slice::<T>()?,
        );
        let (dx, dw, db) = cpu::backward(Level::best(), x_s, w_s, dy_s, T::of(self.eps));
        Ok([
            Tensor::from_vec(dx, x.shape(), x.device())?,
            Tensor::from_vec(dw, w.shape(), w.device())?,
            Tensor::from_vec(db, w.shape(), w.device())?,
        ])
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let (x, w, b) = (slice::<T>(OP, x, lx)?, slice(OP, w, lw)?, slice(OP, b, lb)?);
            let y = cpu::forward(Level::best(), x, w, b, T::of(self.eps));
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
        b: &candle_core::CudaStorage,
        lb: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        crate::norm::bridge::forward(OP, [(x, lx), (w, lw), (b, lb)], self.eps)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        #[cfg_attr(
            not(feature = "cuda"),
            allow(unused_variables, reason = "the CPU needs no bias here")
        )]
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw, db] = crate::norm::bridge::backward(OP, [x, w, b], &dy, self.eps)?;
            return Ok((Some(dx), Some(dw), Some(db)));
        }
        let [dx, dw, db] = with_float!(OP, x.dtype(), T => self.gradients::<T>(x, w, &dy))?;
        Ok((Some(dx), Some(dw), Some(db)))
    }
}
