//! A checkpoint's model, in f32 by candle on the CPU.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_train::run::{self, Run, Weights};
use minrnn_train::task::{Batch, Input};

/// A model with its weights as tensors.
pub(crate) struct Checkpointed<'a> {
    model: &'a Model,
    weights: Weights,
}

impl<'a> Checkpointed<'a> {
    pub(crate) fn new(model: &'a Model, params: &Params) -> Result<Self> {
        let weights = Weights::new(model.graph(), params, DType::F32, &Device::Cpu)?;
        Ok(Self { model, weights })
    }

    /// The outputs of a batch: `[B, T, C]`, or `[B, C]` of a model that answers once.
    pub(crate) fn run(&self, batch: &Batch) -> Result<Vec<f32>> {
        let shape = (batch.batch, batch.time);
        let input = match &batch.input {
            Input::Tokens { ids } => Tensor::from_slice(ids, shape, &Device::Cpu)?,
            Input::Features { values, width } => {
                Tensor::from_slice(values, (shape.0, shape.1, *width), &Device::Cpu)?
            }
        };
        let run = Run {
            lens: batch.lens.as_deref(),
            reset: batch.reset.as_deref(),
            ..Run::new(&input)
        };
        let outcome = run::run(self.model.graph(), &self.weights, &run)?;
        Ok(outcome.output.flatten_all()?.to_vec1()?)
    }
}
