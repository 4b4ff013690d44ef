//! Losses and metrics.

use candle_core::{DType, Device, Tensor};
use minrnn_kernels as kernels;

use super::objective::LossConfig;
use crate::error::Result;
use crate::host::scalar;
use crate::task::{Batch, Input, Targets};

/// A batch as tensors on a device.
pub(super) struct Tensors {
    pub(super) input: Tensor,
    targets: Tensor,
    /// `[rows]`.
    weights: Option<Tensor>,
}

impl Tensors {
    pub(super) fn new(batch: &Batch, device: &Device) -> Result<Self> {
        batch.validate()?;
        let (b, t) = (batch.batch, batch.time);
        let input = match &batch.input {
            Input::Tokens { ids } => Tensor::from_slice(ids, (b, t), device)?,
            Input::Features { values, width } => {
                Tensor::from_slice(values, (b, t, *width), device)?
            }
        };
        let targets = match &batch.targets {
            Targets::Classes { ids, .. } => Tensor::from_slice(ids, ids.len(), device)?,
            Targets::Values { values, width, .. } => {
                Tensor::from_slice(values, (values.len() / width, *width), device)?
            }
        };
        let weights = match &batch.weights {
            Some(w) => Some(Tensor::from_slice(w, w.len(), device)?),
            None => None,
        };
        Ok(Self {
            input,
            targets,
            weights,
        })
    }

    /// Mean cross-entropy in nats, or mean squared error, over the targets that count. `output`: `[B, T, C]` or `[B, C]`.
    pub(super) fn loss(&self, output: &Tensor) -> Result<Tensor> {
        self.objective(output, &LossConfig::default())
    }

    /// What a training step makes small: the same, or another loss.
    pub(super) fn objective(&self, output: &Tensor, loss: &LossConfig) -> Result<Tensor> {
        let width = output.dim(candle_core::D::Minus1)?;
        let rows = output.reshape(((), width))?;
        let weights = self.weights.as_ref();
        if self.targets.dtype() == DType::U32 {
            return Ok(match loss.beyond_kernels() {
                Some(_) => loss.of_classes(&rows, &self.targets, weights)?,
                None => kernels::cross_entropy(&rows, &self.targets, weights)?,
            });
        }
        let each = loss.of_errors(&rows.sub(&self.targets)?)?;
        let Some(weights) = weights else {
            return Ok(each.mean_all()?);
        };
        let weighted = each.broadcast_mul(&weights.unsqueeze(1)?)?;
        if !weights.device().is_cpu() {
            // The same without a word from the device.
            let count = weights.sum_all()?.maximum(f64::from(f32::MIN_POSITIVE))?;
            return Ok(weighted.sum_all()?.div(&(count * width as f64)?)?);
        }
        let count = scalar(&weights.sum_all()?)?.max(f64::from(f32::MIN_POSITIVE));
        Ok((weighted.sum_all()? / (count * width as f64))?)
    }

    /// How many targets that count are the largest logit; `None` for real targets.
    pub(super) fn correct(&self, output: &Tensor) -> Result<Option<usize>> {
        if self.targets.dtype() != DType::U32 {
            return Ok(None);
        }
        let width = output.dim(candle_core::D::Minus1)?;
        let guesses = output
            .reshape(((), width))?
            .argmax(candle_core::D::Minus1)?;
        let met = guesses.eq(&self.targets)?;
        let met = match &self.weights {
            Some(weights) => met.mul(&weights.ne(0f32)?)?,
            None => met,
        };
        Ok(Some(scalar(&met.to_dtype(DType::U32)?.sum_all()?)? as usize))
    }
}
