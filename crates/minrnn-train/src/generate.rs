//! Text from a trained model, one token after the other.

use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Input, OutputKind};
use minrnn_model::model::Model;
use minrnn_model::params::Params;

use crate::error::{Result, TrainError};
use crate::run::{Run, Weights, run};

/// A model that goes on from a prompt, step by step, in candle.
#[derive(Debug)]
pub struct Generator<'a> {
    model: &'a Model,
    weights: Weights,
    device: Device,
    states: Option<Vec<Tensor>>,
}

impl<'a> Generator<'a> {
    /// From a model that takes tokens and gives logits for the next one at each step.
    ///
    /// # Errors
    /// [`TrainError::Config`] for any other model.
    pub fn new(model: &'a Model, params: &Params, device: &Device) -> Result<Self> {
        let graph = model.graph();
        let fits = match graph.input() {
            Input::Tokens { vocab } => graph.width(graph.output().value) == vocab,
            Input::Features { .. } => false,
        };
        if !fits || graph.is_last_step() || graph.output().kind != OutputKind::Logits {
            return Err(TrainError::config(
                "model",
                "does not predict tokens step by step, so it cannot generate",
            ));
        }
        let weights = Weights::new(graph, params, DType::F32, device)?;
        Ok(Self {
            model,
            weights,
            device: device.clone(),
            states: None,
        })
    }

    /// Takes tokens (at least one) in and gives the logits of the one that follows.
    ///
    /// # Errors
    /// [`TrainError::Candle`] for a token outside of the vocabulary.
    pub fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        let input = Tensor::from_slice(ids, (1, ids.len()), &self.device)?;
        let run_ = Run {
            states: self.states.as_deref(),
            ..Run::new(&input)
        };
        let outcome = run(self.model.graph(), &self.weights, &run_)?;
        self.states = Some(outcome.states.iter().map(Tensor::detach).collect());
        let last = outcome.output.narrow(1, ids.len() - 1, 1)?.flatten_all()?;
        Ok(last.to_vec1()?)
    }
}
