//! Dropout on CUDA: the kernel of the residual stream, without one.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};

use super::Draw;
use crate::bridge;
use crate::norm::cuda::{Mask, add_dropout, add_dropout_backward};
use crate::tensors::Input;

const OP: &str = "dropout";

/// x under its mask, by words for the kernel that lie on the GPU.
pub(super) fn apply(x: &Tensor, p: f64, draw: Draw) -> Result<Tensor> {
    Input::float(OP, "x", x)?.rows("[..]")?;
    let mut control = [0u32; 16];
    control[..4].copy_from_slice(&[
        draw.seed as u32,
        (draw.seed >> 32) as u32,
        draw.step as u32,
        (draw.step >> 32) as u32,
    ]);
    let control = Tensor::from_slice(&control, 16, x.device())?;
    let site = draw.site as u32;
    x.contiguous()?.apply_op2(&control, Dropout { p, site })
}

struct Dropout {
    p: f64,
    site: u32,
}

impl CustomOp2 for Dropout {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        candle_core::bail!("{OP} on the CPU is a product with its mask")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        control: &CudaStorage,
        lcontrol: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let shape = lx.shape().clone();
        let (p, site) = (self.p, self.site);
        let [y] = bridge::forward(
            OP,
            [(x, lx), (control, lcontrol)],
            [(shape.clone(), DType::F32)],
            |_| 0,
            |gpu, [x, control], [y], _| {
                let mask = Mask { p, site, control };
                add_dropout(gpu, None, x, Some(mask), y, x.len())
            },
        )?;
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        control: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (p, site) = (self.p, self.site);
        let [dx] = bridge::backward(
            OP,
            [&dy.contiguous()?, control],
            [(x.shape(), DType::F32)],
            |_| 0,
            |gpu, [dy, control], [dx], _| {
                let mask = Mask { p, site, control };
                add_dropout_backward(gpu, dy, Some(mask), dx, dy.len())
            },
        )?;
        Ok((Some(dx), None))
    }
}
