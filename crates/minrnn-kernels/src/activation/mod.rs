//! Activations, one pass forward and one backward.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `activation.cu` that for CUDA.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
#[cfg(test)]
mod sigmoid_tests;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, View};
use crate::dispatch::Level;
#[cfg(feature = "cuda")]
use crate::elementwise::{
    Map,
    cuda::{map, map_grad},
};
use crate::tensors::{Input, hold, slice, with_float};

/// `x * P(X < x)` for a standard normal X: the exact GELU (arXiv 1606.08415; ONNX `Gelu`, `approximate="none"`).
///
/// `x`: any shape, f32 or f64; the result is shaped like it. Gradient for `x`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor, another element type or device.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::GeluErf)
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: the GELU by tanh (arXiv 1606.08415; ONNX `Gelu`, `approximate="tanh"`).
///
/// `x`: any shape, f32 or f64; the result is shaped like it. Gradient for `x`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor, another element type or device.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::GeluTanh)
}

/// `x * sigmoid(x)`.
///
/// `x`: any shape, f32 or f64; the result is shaped like it. Gradient for `x`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor, another element type or device.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Silu)
}

/// `1 / (1 + e^-x)`, relatively accurate on both sides: `sigmoid(-40)` is `e^-40`, not 0.
///
/// `x`: any shape, f32 or f64; the result is shaped like it. Gradient for `x`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor, another element type or device.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Sigmoid)
}

/// `ln(1 + e^x)`, relatively accurate where it is small: `softplus(-40)` is `e^-40`.
///
/// `x`: any shape, f32 or f64; the result is shaped like it. Gradient for `x`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor, another element type or device.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Softplus)
}

fn apply(x: &Tensor, kind: Activation) -> Result<Tensor> {
    Input::float(kind.name(), "x", x)?.rows("[..]")?;
    x.contiguous()?.apply_op1(kind)
}

/// The sigmoid is one of the primitives.
#[cfg(feature = "cuda")]
const SIGMOID: Map = Map::Unary(minrnn_model::graph::Unary::Sigmoid);

/// Which activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// [`gelu_erf`].
    GeluErf,
    /// [`gelu_tanh`].
    GeluTanh,
    /// [`silu`].
    Silu,
    /// [`sigmoid`]; on CUDA a function of [`elementwise`](crate::elementwise).
    Sigmoid,
    /// [`softplus`]; on CUDA a function of [`elementwise`](crate::elementwise).
    Softplus,
}

#[cfg(feature = "cuda")]
impl Activation {
    fn forward_cuda(self, gpu: &Gpu, x: View<'_>, y: View<'_>) -> crate::cuda::Result<()> {
        match self {
            Self::Sigmoid => map(gpu, SIGMOID, x, y, false),
            Self::Softplus => map(gpu, Map::Softplus, x, y, false),
            kind => cuda::forward(gpu, kind, x, y, x.len()),
        }
    }

    fn backward_cuda(
        self,
        gpu: &Gpu,
        x: View<'_>,
        dy: View<'_>,
        dx: View<'_>,
    ) -> crate::cuda::Result<()> {
        match self {
            Self::Sigmoid => map_grad(gpu, SIGMOID, x, dy, dx, false),
            Self::Softplus => map_grad(gpu, Map::Softplus, x, dy, dx, false),
            kind => cuda::backward(gpu, kind, x, dy, dx, x.len()),
        }
    }
}

impl Activation {
    /// As kernels and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Activation::GeluErf => "gelu_erf",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Silu => "silu",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
        }
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        Activation::name(*self)
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let op = Activation::name(*self);
        with_float!(op, candle_core::backend::BackendStorage::dtype(x), T => {
            let y = cpu::values(Level::best(), *self, slice::<T>(op, x, lx)?);
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let shape = lx.shape().clone();
        let to = [(shape.clone(), candle_core::DType::F32)];
        let [y] = crate::bridge::forward(
            Activation::name(*self),
            [(x, lx)],
            to,
            |_| 0,
            |gpu, [x], [y], _| self.forward_cuda(gpu, x, y),
        )?;
        Ok((y, shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (op, dy) = (Activation::name(*self), dy.contiguous()?);
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let to = [(x.shape(), x.dtype())];
            let [dx] = crate::bridge::backward(
                op,
                [x, &dy],
                to,
                |_| 0,
                |gpu, [x, dy], [dx], _| self.backward_cuda(gpu, x, dy, dx),
            )?;
            return Ok(Some(dx));
        }
        let dx = with_float!(op, x.dtype(), T => {
            let (held_x, held_dy) = (hold(op, x), hold(op, &dy));
            let dx = cpu::gradient(Level::best(), *self, held_x.slice::<T>()?, held_dy.slice()?);
            Tensor::from_vec(dx, x.shape(), x.device())
        })?;
        Ok(Some(dx))
    }
}
