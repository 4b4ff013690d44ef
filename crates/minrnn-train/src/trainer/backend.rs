//! Where the weights live and the steps are computed.

use candle_core::{DType, Tensor};
use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::params::{Params, Role};

use super::aim::Aim;
use super::config::{Precision, TrainConfig};
use super::loss::Tensors;
use crate::error::{Result, TrainError};
use crate::optim::{AdamW, OptimizerState, Parameter};
use crate::run::{self, Dropout, Run, Weights};
use crate::task::Batch;

/// Where a trainer computes.
#[derive(Debug, Clone, Default)]
pub enum Device {
    /// The CPU, by candle.
    #[default]
    Cpu,
    /// A GPU, by the tape of this crate ([`crate::tape`]).
    #[cfg(feature = "cuda")]
    Cuda(minrnn_kernels::cuda::Gpu),
}

impl Device {
    pub(super) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu)
    }

    /// CUDA GPU number `ordinal`.
    ///
    /// # Errors
    /// A program without CUDA; no such GPU.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(clippy::missing_const_for_fn, reason = "with CUDA it asks the driver")
    )]
    pub fn cuda(ordinal: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        {
            Ok(Self::Cuda(minrnn_kernels::cuda::Gpu::new(ordinal)?))
        }
        #[cfg(not(feature = "cuda"))]
        {
            let message = format!(
                "is cuda:{ordinal}, but this program was built without CUDA; build it with --features cuda, or use cpu"
            );
            Err(TrainError::config("device", message))
        }
    }
}

impl Device {
    /// The kind of device: two of one kind go on bit for bit after each other.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => "cuda",
        }
    }
}

/// One step as the backend reports it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) loss: f64,
    pub(super) grad_norm: f64,
}

/// Weights and optimizer on a device.
#[derive(Debug)]
pub(super) enum Backend {
    Candle {
        weights: Weights,
        optimizer: Box<AdamW>,
        aim: Box<Aim>,
    },
    #[cfg(feature = "cuda")]
    Cuda(Box<super::cuda::Cuda>),
}

impl Backend {
    /// With `params` as first values, statistics included.
    pub(super) fn new(
        config: &TrainConfig,
        model: &Model,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        match device {
            Device::Cpu => {
                if config.train.precision != Precision::F32 {
                    let message = format!(
                        "is {}, which GPUs have; use --device cuda, or leave it out",
                        config.train.precision.name()
                    );
                    return Err(TrainError::config("train.precision", message));
                }
                let weights =
                    Weights::new(model.graph(), params, DType::F32, &candle_core::Device::Cpu)?;
                let parameters = weights.vars().map(|(i, var)| {
                    let spec = &model.graph().params()[i];
                    Parameter {
                        name: spec.name.clone(),
                        var: var.clone(),
                        decay: matches!(spec.role, Role::Weight { decay: true, .. }),
                    }
                });
                let optimizer = AdamW::new(parameters.collect(), config.train.optimizer.clone())?;
                Ok(Self::Candle {
                    weights,
                    optimizer: Box::new(optimizer),
                    aim: Box::new(Aim::new(model.graph())),
                })
            }
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => {
                let cuda = super::cuda::Cuda::new(gpu, config, model, params)?;
                Ok(Self::Cuda(Box::new(cuda)))
            }
        }
    }

    pub(super) fn params(&self, model: &Model) -> Result<Params> {
        match self {
            Self::Candle { weights, .. } => Ok(weights.to_params(model.graph())?),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.params(),
        }
    }

    pub(super) fn state_dict(&self) -> Result<OptimizerState> {
        match self {
            Self::Candle { optimizer, .. } => optimizer.state_dict(),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.state_dict(),
        }
    }

    pub(super) fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        match self {
            Self::Candle { optimizer, .. } => optimizer.load_state_dict(state),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.load_state_dict(state),
        }
    }

    /// How many steps are best put in line before their reports are read.
    pub(super) fn line(&self) -> u64 {
        match self {
            Self::Candle { .. } => 1,
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => super::cuda::LINE,
        }
    }

    /// Puts a step in line, `seed` and `step` choosing the dropout; the report may come later.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        dropout: Dropout,
        lr: f64,
    ) -> Result<Option<Report>> {
        match self {
            Self::Candle {
                weights,
                optimizer,
                aim,
            } => {
                let batch = aim.batch(batch);
                let (loss, _) = forward(aim.graph(), weights, &batch, Some(dropout))?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                if !value.is_finite() {
                    return Err(TrainError::NonFinite {
                        what: "the loss".into(),
                        step: dropout.step,
                    });
                }
                let report = optimizer.step(&loss.backward()?, lr)?;
                Ok(Some(Report {
                    loss: value,
                    grad_norm: report.grad_norm,
                }))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.step(batch, dropout.step, lr).map(|()| None),
        }
    }

    /// The reports of the steps in line, and the error of the one that failed.
    pub(super) fn reports(&mut self) -> Result<(Vec<Report>, Option<TrainError>)> {
        match self {
            Self::Candle { .. } => Ok((vec![], None)),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.reports(),
        }
    }

    /// Mean loss of a batch, in the units of the data, and how many targets were met (`None` for real targets).
    pub(super) fn evaluate(&self, model: &Model, batch: &Batch) -> Result<(f64, Option<usize>)> {
        match self {
            Self::Candle { weights, .. } => {
                let (loss, correct) = forward(model.graph(), weights, batch, None)?;
                Ok((f64::from(loss.to_scalar::<f32>()?), correct))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.evaluate(batch),
        }
    }
}

/// The loss; without dropout also the number of targets met.
fn forward(
    graph: &Graph,
    weights: &Weights,
    batch: &Batch,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Option<usize>)> {
    let tensors = Tensors::new(batch, &candle_core::Device::Cpu)?;
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
