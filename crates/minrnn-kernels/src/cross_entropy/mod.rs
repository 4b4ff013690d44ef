//! The loss of classification, in two passes over the logits.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `cross_entropy.cu` that for CUDA.

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

use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{Input, check_indices, hold, slice, with_float};

const OP: &str = "cross_entropy";

/// The weighted mean of `log(sum(exp(logits[n]))) - logits[n][targets[n]]`.
///
/// `logits`: `[N,V]`, f32 or f64; `targets`: `[N]`, u32, each below V; `weights`: `[N]`, like the
/// logits, finite and not negative (absent: all 1); the result is a scalar, the sum of
/// `weight * loss` divided by the sum of weights. A row of weight 0 is left out altogether: neither
/// its logits nor its target are looked at, and its gradient is 0.
/// Gradients for `logits` and `weights`, on a GPU for `logits` alone. There, targets and weights are not looked at before: a target
/// that is not below V makes the loss NaN, as do weights that are all 0.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on a target that is not below V, weights that are negative, not finite or all 0, other shapes, an empty dimension, another element type or device.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let logits_in = Input::float(OP, "logits", logits)?;
    let (n, _) = logits_in.dims2("[N,V]")?;
    Input::indices(OP, "targets", targets)?.shaped(&[n], "[N]")?;
    let weights = match weights {
        None => Tensor::ones(n, logits.dtype(), logits.device())?,
        Some(weights) => {
            Input::float(OP, "weights", weights)?
                .like(logits_in)?
                .shaped(&[n], "[N]")?;
            weights.contiguous()?
        }
    };
    logits
        .contiguous()?
        .apply_op3(&targets.contiguous()?, &weights, CrossEntropy)
}

struct CrossEntropy;

/// The sum of the weights, if they can be averaged over.
fn total<T: Float>(weights: &[T]) -> Result<f64> {
    let fail = |problem: String| crate::KernelError::Value {
        op: OP,
        input: "weights",
        problem,
    };
    let good = |w: f64| w >= 0.0 && w.is_finite();
    if let Some(n) = weights.iter().position(|w| !good(w.wide())) {
        let w = weights[n];
        return Err(fail(format!("[{n}] is {w}, but must be finite and not negative")).into());
    }
    let total = weights.iter().map(|w| w.wide()).sum::<f64>();
    if total > 0.0 {
        return Ok(total);
    }
    Err(fail("are all 0: there is no row to average over; leave this batch out".into()).into())
}

#[cfg(feature = "cuda")]
impl CrossEntropy {
    /// `dlogits` of the mean loss, times `grad`, without a word to the host.
    fn gradient_cuda(&self, x: [&Tensor; 3], grad: &Tensor) -> Result<Tensor> {
        let (n, v) = x[0].dims2()?;
        let scalar = Shape::from(1);
        let to = [(x[0].shape(), x[0].dtype()), (&scalar, x[0].dtype())];
        let [dlogits, _] = crate::bridge::backward(
            OP,
            x,
            to,
            |gpu| cuda::scratch_len(gpu, n, v),
            |gpu, [logits, targets, weights], [dlogits, loss], scratch| {
                let step = cuda::Step {
                    logits,
                    targets,
                    weights: Some(weights),
                    loss,
                    dlogits: Some(dlogits),
                    scale: None,
                    scratch,
                    n,
                    v,
                };
                cuda::step(gpu, &step)
            },
        )?;
        dlogits.broadcast_mul(grad)
    }
}

impl CrossEntropy {
    fn gradients<T: Float>(
        &self,
        [logits, targets, weights, loss, grad]: [&Tensor; 5],
    ) -> Result<[Tensor; 2]> {
        let (_, width) = logits.dims2()?;
        let held_logits = hold(OP, logits);
        let (held_targets, held_weights) = (hold(OP, targets), hold(OP, weights));
        let input = cpu::Inputs {
            logits: held_logits.slice::<T>()?,
            targets: held_targets.slice()?,
            weights: held_weights.slice::<T>()?,
            width,
        };
        let scale = grad.to_scalar::<T>()?.wide() / total(input.weights)?;
        let dlogits = cpu::gradient(Level::best(), &input, scale);
        let mean = loss.to_scalar::<T>()?.wide();
        let losses = cpu::losses(Level::best(), &input);
        let dweights = losses.into_iter().map(|l| T::of((l.wide() - mean) * scale));
        let dweights = dweights.collect::<Vec<_>>();
        Ok([
            Tensor::from_vec(dlogits, logits.shape(), logits.device())?,
            Tensor::from_vec(dweights, weights.shape(), weights.device())?,
        ])
    }
}

impl CustomOp3 for CrossEntropy {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        llogits: &Layout,
        targets: &CpuStorage,
        ltargets: &Layout,
        weights: &CpuStorage,
        lweights: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, width) = llogits.shape().dims2()?;
        with_float!(OP, candle_core::backend::BackendStorage::dtype(logits), T => {
            let input = cpu::Inputs {
                logits: slice::<T>(OP, logits, llogits)?,
                targets: slice(OP, targets, ltargets)?,
                weights: slice::<T>(OP, weights, lweights)?,
                width,
            };
            let total = total(input.weights)?;
            let used = |n: usize| input.weights[n] > T::ZERO;
            check_indices(OP, "targets", input.targets, width, used)?;
            let losses = cpu::losses(Level::best(), &input);
            let mean = cpu::weighted_sum(&losses, input.weights) / total;
            Ok((T::to_cpu_storage_owned(vec![T::of(mean)]), Shape::from(())))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &candle_core::CudaStorage,
        llogits: &Layout,
        targets: &candle_core::CudaStorage,
        ltargets: &Layout,
        weights: &candle_core::CudaStorage,
        lweights: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (n, v) = llogits.shape().dims2()?;
        let [loss] = crate::bridge::forward(
            OP,
            [(logits, llogits), (targets, ltargets), (weights, lweights)],
            [(Shape::from(()), candle_core::DType::F32)],
            |gpu| cuda::scratch_len(gpu, n, v),
            |gpu, [logits, targets, weights], [loss], scratch| {
                let step = cuda::Step {
                    logits,
                    targets,
                    weights: Some(weights),
                    loss,
                    dlogits: None,
                    scale: None,
                    scratch,
                    n,
                    v,
                };
                cuda::step(gpu, &step)
            },
        )?;
        Ok((loss, Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        weights: &Tensor,
        loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() {
            if weights.track_op() {
                let problem = "have no gradient on a GPU; give them detached".into();
                return Err(crate::KernelError::Value {
                    op: OP,
                    input: "weights",
                    problem,
                }
                .into());
            }
            let dlogits = self.gradient_cuda([logits, targets, weights], grad)?;
            return Ok((Some(dlogits), None, None));
        }
        let x = [logits, targets, weights, loss, grad];
        let [dlogits, dweights] = with_float!(OP, logits.dtype(), T => self.gradients::<T>(x))?;
        Ok((Some(dlogits), None, Some(dweights)))
    }
}
