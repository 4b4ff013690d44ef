//! Rows of a table by index, with a gradient that is the same on every run.
//!
//! `cpu.rs` is the kernel, `cuda.rs` with `embedding.cu` that for CUDA.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use crate::dispatch::Level;
use crate::tensors::{Input, hold, slice, with_float};

const OP: &str = "embedding";

/// `y[n] = table[ids[n]]`.
///
/// `table`: `[V,M]`, f32 or f64; `ids`: `[N]`, u32, each below V; the result is `[N,M]`.
/// Gradient for `table`: each row is the sum over its places in `ids`, in order. On a GPU an id that is not below V gives NaN.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an id that is not below V, on other shapes, an empty dimension, another element type or device.
pub fn embedding(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    Input::float(OP, "table", table)?.dims2("[V,M]")?;
    Input::indices(OP, "ids", ids)?.dims1("[N]")?;
    table.contiguous()?.apply_op2(&ids.contiguous()?, Embedding)
}

struct Embedding;

impl CustomOp2 for Embedding {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        table: &CpuStorage,
        ltable: &Layout,
        ids: &CpuStorage,
        lids: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (limit, width) = ltable.shape().dims2()?;
        let ids = slice::<u32>(OP, ids, lids)?;
        crate::tensors::check_indices(OP, "ids", ids, limit, |_| true)?;
        with_float!(OP, candle_core::backend::BackendStorage::dtype(table), T => {
            let table = slice::<T>(OP, table, ltable)?;
            let y = cpu::rows(Level::best(), table, width, ids);
            Ok((T::to_cpu_storage_owned(y), (ids.len(), width).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        table: &candle_core::CudaStorage,
        ltable: &Layout,
        ids: &candle_core::CudaStorage,
        lids: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (v, m) = ltable.shape().dims2()?;
        let n = lids.shape().elem_count();
        let shape = Shape::from((n, m));
        let [y] = crate::bridge::forward(
            OP,
            [(ids, lids), (table, ltable)],
            [(shape.clone(), candle_core::DType::F32)],
            |_| 0,
            |gpu, [ids, table], [y], _| {
                cuda::forward(gpu, ids, table, y, None, cuda::Size { n, m, v })
            },
        )?;
        Ok((y, shape))
    }

    fn bwd(
        &self,
        table: &Tensor,
        ids: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (rows, width) = table.dims2()?;
        #[cfg(feature = "cuda")]
        if table.device().is_cuda() {
            let (n, m, v) = (ids.elem_count(), width, rows);
            let [grad] = crate::bridge::backward(
                OP,
                [ids, &dy],
                [(table.shape(), table.dtype())],
                |gpu| cuda::scratch_len(gpu, n, m, v),
                |gpu, [ids, dy], [dtable], scratch| {
                    cuda::backward(gpu, ids, dy, None, dtable, scratch, cuda::Size { n, m, v })
                },
            )?;
            return Ok((Some(grad), None));
        }
        let grad = with_float!(OP, table.dtype(), T => {
            let (held_ids, held_dy) = (hold(OP, ids), hold(OP, &dy));
            let (ids, dy) = (held_ids.slice::<u32>()?, held_dy.slice::<T>()?);
            let grad = cpu::gradient(Level::best(), dy, width, ids, rows);
            Tensor::from_vec(grad, table.shape(), table.device())
        })?;
        Ok((Some(grad), None))
    }
}
