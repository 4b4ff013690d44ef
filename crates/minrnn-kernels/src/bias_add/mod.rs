//! A bias added to every row, with a gradient that is one pass over memory.
//!
//! `cpu.rs` is the kernel; a kernel for CUDA (`cuda.rs`, `bias_add.cu`) belongs beside it.

mod cpu;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use crate::dispatch::Level;
use crate::tensors::{Input, hold, slice, with_float};

const OP: &str = "bias_add";

/// `y = x + bias`, the bias added to each row.
///
/// `x`: `[..,M]`; `bias`: `[M]`; the result is shaped like `x`. f32 or f64, both alike.
/// Gradients for both; that of the bias is summed over fixed blocks of rows, in order.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension, another element type or device.
pub fn bias_add(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let x_in = Input::float(OP, "x", x)?;
    let (_, width) = x_in.rows("[..,M]")?;
    Input::float(OP, "bias", bias)?
        .like(x_in)?
        .shaped(&[width], "[M]")?;
    x.contiguous()?.apply_op2(&bias.contiguous()?, BiasAdd)
}

struct BiasAdd;

impl CustomOp2 for BiasAdd {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        bias: &CpuStorage,
        lbias: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let (x, bias) = (slice::<T>(OP, x, lx)?, slice(OP, bias, lbias)?);
            let y = cpu::forward(Level::best(), x, bias);
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let width = bias.elem_count();
        let db = with_float!(OP, x.dtype(), T => {
            let held = hold(OP, &dy);
            let db = cpu::column_sums(Level::best(), held.slice::<T>()?, width);
            Tensor::from_vec(db, bias.shape(), bias.device())
        })?;
        Ok((Some(dy), Some(db)))
    }
}
