//! The trainer's steps by candle.

use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::Graph;
use minrnn_model::params::{Params, Role};

use super::aim::Aim;
use super::backend::{Backend, Report};
use super::config::TrainConfig;
use super::loss::Tensors;
use crate::error::Result;
use crate::host::scalar;
use crate::optim::{Optimizer, OptimizerState, Parameter};
use crate::run::{self, Dropout, Run, Weights};
use crate::task::Batch;

/// A model as tensors on a device.
#[derive(Debug)]
pub(super) struct Candle {
    graph: Graph,
    weights: Weights,
    optimizer: Optimizer,
    aim: Aim,
}

impl Candle {
    pub(super) fn new(
        config: &TrainConfig,
        graph: &Graph,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        let weights = Weights::new(graph, params, DType::F32, device)?;
        let parameters = weights.vars().map(|(i, var)| {
            let spec = &graph.params()[i];
            Parameter {
                name: spec.name.clone(),
                var: var.clone(),
                decay: matches!(spec.role, Role::Weight { decay: true, .. }),
            }
        });
        let optimizer = Optimizer::new(parameters.collect(), config.train.optimizer.rule()?)?;
        Ok(Self {
            graph: graph.clone(),
            weights,
            optimizer,
            aim: Aim::new(graph),
        })
    }
}

impl Backend for Candle {
    fn params(&self) -> Result<Params> {
        Ok(self.weights.to_params(&self.graph)?)
    }

    fn state_dict(&self) -> Result<OptimizerState> {
        self.optimizer.state_dict()
    }

    fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        self.optimizer.load_state_dict(state)
    }

    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>> {
        let batch = self.aim.batch(batch);
        let (loss, _) = forward(self.aim.graph(), &self.weights, &batch, Some(dropout))?;
        let (loss, report) = self.optimizer.step_of(&loss, lr)?;
        Ok(Some(Report {
            loss,
            grad_norm: report.grad_norm,
        }))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let (loss, correct) = forward(&self.graph, &self.weights, batch, None)?;
        Ok((scalar(&loss)?, correct))
    }
}

/// The loss; without dropout also the number of targets met.
fn forward(
    graph: &Graph,
    weights: &Weights,
    batch: &Batch,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Option<usize>)> {
    let tensors = Tensors::new(batch, weights.device())?;
    let run = Run {
        lens: batch.lens.as_deref(),
        reset: batch.reset.as_deref(),
        dropout,
        ..Run::new(&tensors.input)
    };
    let output = run::run(graph, weights, &run)?.output;
    if dropout.is_some() {
        return Ok((tensors.loss(&output)?, None));
    }
    let output = output.detach();
    Ok((tensors.loss(&output)?, tensors.correct(&output)?))
}
