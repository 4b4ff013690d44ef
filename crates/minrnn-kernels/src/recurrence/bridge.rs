//! Recurrences over candle's tensors on a GPU: `[B,T,D]` out, scratch as their kernels need it.

use candle_core::backend::BackendStorage;
use candle_core::{CudaStorage, DType, Layout, Result, Shape, Tensor};

use super::Size;
use super::cuda::scratch_len;
use crate::bridge;
use crate::cuda::{Gpu, View};

/// h, of the type of input `typed`, from the inputs.
pub(crate) fn forward<const N: usize>(
    op: &'static str,
    size: Size,
    typed: usize,
    inputs: [(&CudaStorage, &Layout); N],
    run: impl FnOnce(&Gpu, [View<'_>; N], View<'_>, View<'_>) -> crate::cuda::Result<()>,
) -> Result<(CudaStorage, Shape)> {
    let output = (size.shape(), inputs[typed].0.dtype());
    let scratch = |_: &Gpu| scratch_len(size.b, size.t, size.d);
    let [h] = bridge::forward(op, inputs, [output], scratch, |gpu, x, [h], scratch| {
        run(gpu, x, h, scratch)
    })?;
    Ok((h, size.shape()))
}

/// The outputs, of these shapes and types, from contiguous inputs.
pub(crate) fn backward<const N: usize, const M: usize>(
    op: &'static str,
    size: Size,
    inputs: [&Tensor; N],
    outputs: [(&Shape, DType); M],
    run: impl FnOnce(&Gpu, [View<'_>; N], [View<'_>; M], View<'_>) -> crate::cuda::Result<()>,
) -> Result<[Tensor; M]> {
    let scratch = |_: &Gpu| scratch_len(size.b, size.t, size.d);
    bridge::backward(op, inputs, outputs, scratch, run)
}
