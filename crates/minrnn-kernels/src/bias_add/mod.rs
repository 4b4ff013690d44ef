//! A bias added to every row, with a gradient that is one pass over memory.
//!
//! `cpu.rs` is the kernel; on a GPU the primitives and the sum of columns do it.

mod cpu;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

#[cfg(feature = "cuda")]
use crate::column_sum::cuda as column_sum;
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, View};
use crate::dispatch::Level;
#[cfg(feature = "cuda")]
use crate::elementwise::cuda::vec;
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
        bias: &candle_core::CudaStorage,
        lbias: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (shape, width) = (lx.shape().clone(), lbias.shape().elem_count());
        let to = [(shape.clone(), candle_core::DType::F32)];
        let inputs = [(x, lx), (bias, lbias)];
        let run = |gpu: &Gpu, [x, bias]: [View<'_>; 2], [y]: [View<'_>; 1], _: View<'_>| {
            vec(gpu, false, x, bias, y, false, x.len() / width, width)
        };
        let [y] = crate::bridge::forward(OP, inputs, to, |_| 0, run)?;
        Ok((y, shape))
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
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let rows = x.elem_count() / width;
            let [db] = crate::bridge::backward(
                OP,
                [&dy],
                [(bias.shape(), bias.dtype())],
                |gpu| column_sum::scratch_len(gpu, rows, width),
                |gpu, [dy], [db], scratch| {
                    column_sum::sum(gpu, dy, db, false, scratch, rows, width)
                },
            )?;
            return Ok((Some(dy), Some(db)));
        }
        let db = with_float!(OP, x.dtype(), T => {
            let held = hold(OP, &dy);
            let db = cpu::column_sums(Level::best(), held.slice::<T>()?, width);
            Tensor::from_vec(db, bias.shape(), bias.device())
        })?;
        Ok((Some(dy), Some(db)))
    }
}
