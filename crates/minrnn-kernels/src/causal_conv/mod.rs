//! Depthwise causal convolution over time, with the last inputs as its state.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `causal_conv.cu` that for CUDA.

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

#[cfg(feature = "cuda")]
use crate::cuda::View;
use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{Input, hold, slice, with_float};

const OP: &str = "causal_conv";

/// Depthwise causal convolution: `y[t] = w[0] * c[t] + .. + w[k-1] * c[t+k-1] + bias`, where `c`
/// is `state` followed by `x` along time.
///
/// `x`: `[B,T,M]`; `state`: `[B,k-1,M]`, the last k-1 inputs before `x` (`[B,0,M]` for k = 1);
/// `weight`: `[k,M]`; `bias`: `[M]`; the result is y, `[B,T,M]`. f32 or f64, all alike.
/// Summed in the order of the taps, each product and each sum rounded, the bias last: so chunks
/// of a sequence give the same bits as the whole. Gradients for all inputs.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension (T = 0 too), another element type or device.
pub fn causal_conv(
    x: &Tensor,
    state: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let x_in = Input::float(OP, "x", x)?;
    let (b, t, m) = x_in.dims3("[B,T,M]")?;
    let weight_in = Input::float(OP, "weight", weight)?.like(x_in)?;
    let (k, _) = weight_in.dims2("[k,M]")?;
    weight_in.shaped(&[k, m], "[k,M]")?;
    Input::float(OP, "state", state)?
        .like(x_in)?
        .shaped(&[b, k - 1, m], "[B,k-1,M]")?;
    let op = CausalConv {
        size: Size { b, t, m, k },
        bias: bias.is_some(),
    };
    // The bias travels as one more row of the weight: a custom operation has three inputs.
    let weight = match bias {
        None => weight.contiguous()?,
        Some(bias) => {
            Input::float(OP, "bias", bias)?
                .like(x_in)?
                .shaped(&[m], "[M]")?;
            Tensor::cat(&[weight, &bias.unsqueeze(0)?], 0)?.contiguous()?
        }
    };
    x.contiguous()?.apply_op3(&state.contiguous()?, &weight, op)
}

/// The state after `x`: the last k-1 rows of `state` followed by `x`, `[B,k-1,M]`, also when T < k-1.
/// Gradients flow through.
///
/// # Errors
/// [`KernelError`](crate::KernelError) if `x` is not `[B,T,M]`, `state` not `[B,k-1,M]`, or T is 0.
pub fn causal_conv_state(x: &Tensor, state: &Tensor) -> Result<Tensor> {
    let x_in = Input::float(OP, "x", x)?;
    let (b, t, m) = x_in.dims3("[B,T,M]")?;
    let state_in = Input::float(OP, "state", state)?.like(x_in)?;
    let keep = match *state.dims() {
        [_, keep, _] => keep,
        _ => return Err(state_in.bad_shape("[B,k-1,M]".into())),
    };
    state_in.shaped(&[b, keep, m], "[B,k-1,M]")?;
    if keep == 0 {
        Ok(state.clone())
    } else if t >= keep {
        x.narrow(1, t - keep, keep)?.contiguous()
    } else {
        Tensor::cat(&[&state.narrow(1, t, keep - t)?, x], 1)
    }
}

/// `[B,T,M]` and the number of taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B.
    pub b: usize,
    /// T.
    pub t: usize,
    /// Channels.
    pub m: usize,
    /// Taps, at least 1.
    pub k: usize,
}

struct CausalConv {
    size: Size,
    bias: bool,
}

impl CausalConv {
    fn gradients<T: Float>(&self, [x, state, w, dy]: [&Tensor; 4]) -> Result<[Tensor; 3]> {
        let held = [x, state, w, dy].map(|x| hold(OP, x));
        let input = cpu::Inputs {
            x: held[0].slice::<T>()?,
            state: held[1].slice()?,
            weight: held[2].slice()?,
            bias: self.bias,
            size: self.size,
        };
        let [dx, dstate, dw] = cpu::gradients(Level::best(), &input, held[3].slice()?);
        Ok([
            Tensor::from_vec(dx, x.shape(), x.device())?,
            Tensor::from_vec(dstate, state.shape(), state.device())?,
            Tensor::from_vec(dw, w.shape(), w.device())?,
        ])
    }
}

#[cfg(feature = "cuda")]
impl CausalConv {
    /// The taps and the bias, which is the last row of `weight`.
    fn parts<'a>(&self, weight: View<'a>) -> crate::cuda::Result<(View<'a>, Option<View<'a>>)> {
        let taps = self.size.k * self.size.m;
        let bias = match self.bias {
            true => Some(weight.slice(taps, self.size.m)?),
            false => None,
        };
        Ok((weight.slice(0, taps)?, bias))
    }

    /// A convolution of one tap has no state.
    fn state<'a>(&self, state: View<'a>) -> Option<View<'a>> {
        (self.size.k > 1).then_some(state)
    }

    fn gradients_cuda(&self, x: [&Tensor; 4]) -> Result<[Tensor; 3]> {
        let Size { b, t, m, k } = self.size;
        let to = [x[0], x[1], x[2]].map(|x| (x.shape(), x.dtype()));
        crate::bridge::backward(
            OP,
            x,
            to,
            |gpu| cuda::scratch_len(gpu, b, t, m, k),
            |gpu, [x, state, weight, dy], [dx, dstate, dw], scratch| {
                let ((weight, _), (dweight, dbias)) = (self.parts(weight)?, self.parts(dw)?);
                let arguments = cuda::Backward {
                    x,
                    state: self.state(state),
                    weight,
                    dy,
                    dx,
                    dweight,
                    dbias,
                    dstate: self.state(dstate),
                    scratch,
                    size: self.size,
                };
                cuda::backward(gpu, &arguments)
            },
        )
    }
}

impl CustomOp3 for CausalConv {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        state: &CpuStorage,
        lstate: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let input = cpu::Inputs {
                x: slice::<T>(OP, x, lx)?,
                state: slice(OP, state, lstate)?,
                weight: slice(OP, w, lw)?,
                bias: self.bias,
                size: self.size,
            };
            let y = cpu::values(Level::best(), &input);
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
        state: &candle_core::CudaStorage,
        lstate: &Layout,
        w: &candle_core::CudaStorage,
        lw: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let [y] = crate::bridge::forward(
            OP,
            [(x, lx), (state, lstate), (w, lw)],
            [(lx.shape().clone(), candle_core::DType::F32)],
            |_| 0,
            |gpu, [x, state, w], [y], _| {
                let (weight, bias) = self.parts(w)?;
                let size = self.size;
                cuda::forward(gpu, x, self.state(state), weight, bias, y, size)
            },
        )?;
        Ok((y, lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        state: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dstate, dw] = self.gradients_cuda([x, state, w, &dy])?;
            return Ok((Some(dx), Some(dstate), Some(dw)));
        }
        let [dx, dstate, dw] =
            with_float!(OP, x.dtype(), T => self.gradients::<T>([x, state, w, &dy]))?;
        Ok((Some(dx), Some(dstate), Some(dw)))
    }
}
