//! The trainer's steps by candle.

use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::Graph;
use minrnn_model::params::{Params, Role};

use super::aim::Aim;
use super::backend::{Backend, Report};
use super::config::{Precision, TrainConfig};
use super::loss::Tensors;
use crate::error::{Result, TrainError};
use crate::optim::{Optimizer, OptimizerState, Parameter};
use crate::run::{self, Dropout, Run, Weights};
use crate::task::Batch;

/// A model as tensors on the CPU.
#[derive(Debug)]
pub(super) struct Candle {
    graph: Graph,
    weights: Weights,
    optimizer: Optimizer,
    aim: Aim,
}

impl Candle {
    pub(super) fn new(config: &TrainConfig, graph: &Graph, params: &Params) -> Result<Self> {
        if config.train.precision != Precision::F32 {
            let message = format!(
                "is {}, which GPUs have; use --device cuda, or leave it out",
                config.train.precision.name()
            );
            return Err(TrainError::config("train.precision", message));
        }
        let weights = Weights::new(graph, params, DType::F32, &Device::Cpu)?;
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
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(TrainError::NonFinite {
                what: "the loss".into(),
                step: dropout.step,
            });
        }
        let report = self.optimizer.step(&loss.backward()?, lr)?;
        Ok(Some(Report {
            loss: value,
            grad_norm: report.grad_norm,
        }))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let (loss, correct) = forward(&self.graph, &self.weights, batch, None)?;
        Ok((f64::from(loss.to_scalar::<f32>()?), correct))
    }
}

/// The loss; without dropout also the number of targets met.
fn forward(
    graph: &Graph,
    weights: &Weights,
    batch: &Batch,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Option<usize>)> {
    let tensors = Tensors::new(batch, &Device::Cpu)?;
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
