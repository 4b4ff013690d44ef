//! A cell whose parts come packed in one tensor, as a candle operation.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use super::{Size, contiguous};
#[cfg(feature = "cuda")]
use crate::cuda::View;
use crate::math::Float;
use crate::tensors::{Input, f32_on_gpu, slice, with_float};

/// What two such cells differ in.
pub(crate) trait Packed: Copy + Send + Sync + 'static {
    /// The operation's name, and that of its backward pass.
    const OP: &'static str;
    #[cfg(feature = "cuda")]
    const BACKWARD: &'static str;
    /// Name of the packed input.
    const INPUT: &'static str;
    /// Parts in it.
    const PARTS: usize;
    /// Its shape in messages, and what the last size is.
    const SHAPE: [&'static str; 2];

    /// h `[B,T,D]`.
    fn forward<T: Float>(self, x: &[T], h0: &[T], size: Size) -> Vec<T>;

    /// The gradients of x and h0, of `[x, h0, h, dh]`, on the CPU.
    fn gradients<T: Float>(self, x: [&Tensor; 4]) -> Result<(Tensor, Tensor)>;

    /// The cell on CUDA.
    #[cfg(feature = "cuda")]
    fn cell<'a>(self, op: &'static str, x: View<'a>, size: Size) -> super::cuda::Cell<'a>;
}

/// h of the packed input and h0.
pub(crate) fn forward<C: Packed>(cell: C, x: &Tensor, h0: &Tensor) -> Result<Tensor> {
    let op = Operation::new(cell, x, h0)?;
    x.contiguous()?
        .apply_op2(&f32_on_gpu(h0)?.contiguous()?, op)
}

/// The gradients of the packed input and h0, given h and its gradient.
pub(crate) fn backward<C: Packed>(
    cell: C,
    [x, h0, h, dh]: [&Tensor; 4],
) -> Result<(Tensor, Tensor)> {
    let op = Operation::new(cell, x, h0)?;
    op.size.check_saved(C::OP, x, h, dh)?;
    let [x, h0, h, dh] = contiguous([x, h0, h, dh])?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        let [dx, dh0] = op.gradients_cuda([&x, &f32_on_gpu(&h0)?, &h, &dh])?;
        return Ok((dx, dh0.to_dtype(h0.dtype())?));
    }
    with_float!(C::OP, x.dtype(), T => cell.gradients::<T>([&x, &h0, &h, &dh]))
}

struct Operation<C> {
    size: Size,
    cell: C,
}

impl<C: Packed> Operation<C> {
    /// The operation for these inputs, if they fit.
    fn new(cell: C, x: &Tensor, h0: &Tensor) -> Result<Self> {
        let x = Input::recurrent(C::OP, C::INPUT, x)?;
        let [shape, last] = C::SHAPE;
        let (b, t, width) = x.dims3(shape)?;
        if width % C::PARTS != 0 {
            return Err(x.bad_shape(format!("{shape}, the last size {last}")));
        }
        let d = width / C::PARTS;
        let h0 = Input::recurrent(C::OP, "h0", h0)?.like_or_f32(x)?;
        h0.shaped(&[b, d], "[B,D]")?;
        let size = Size { b, t, d };
        Ok(Self { size, cell })
    }

    #[cfg(feature = "cuda")]
    fn gradients_cuda(&self, x: [&Tensor; 4]) -> Result<[Tensor; 2]> {
        let to = [(x[0].shape(), x[0].dtype()), (x[1].shape(), x[1].dtype())];
        super::bridge::backward(
            C::OP,
            self.size,
            x,
            to,
            |gpu, [x, h0, h, dh], [dx, dh0], scratch| {
                let to = super::cuda::Gradients {
                    x: dx,
                    y: None,
                    h0: Some(dh0),
                };
                let cell = self.cell.cell(C::BACKWARD, x, self.size);
                cell.backward(gpu, Some(h0), [h, dh], to, scratch)
            },
        )
    }
}

impl<C: Packed> CustomOp2 for Operation<C> {
    fn name(&self) -> &'static str {
        C::OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(C::OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let (x, h0) = (slice::<T>(C::OP, x, lx)?, slice(C::OP, h0, lh0)?);
            let h = self.cell.forward(x, h0, self.size);
            Ok((T::to_cpu_storage_owned(h), self.size.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
        h0: &candle_core::CudaStorage,
        lh0: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let inputs = [(x, lx), (h0, lh0)];
        super::bridge::forward(C::OP, self.size, 0, inputs, |gpu, [x, h0], h, scratch| {
            let cell = self.cell.cell(C::OP, x, self.size);
            cell.forward(gpu, Some(h0), h, scratch)
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        h0: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dh0] = self.gradients_cuda([x, h0, h, &dh.contiguous()?])?;
            return Ok((Some(dx), Some(dh0)));
        }
        let (dx, dh0) =
            with_float!(C::OP, x.dtype(), T => self.cell.gradients::<T>([x, h0, h, dh]))?;
        Ok((Some(dx), Some(dh0)))
    }
}
