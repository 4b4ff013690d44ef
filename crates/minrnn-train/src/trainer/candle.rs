//! The trainer's steps by candle.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Graph, StateInit, StateSpec};
use minrnn_model::params::Params;

use super::accumulate::{masks, parts};
use super::aim::Aim;
use super::backend::{Backend, Report};
use super::config::TrainConfig;
use super::loss::Tensors;
use super::objective::LossConfig;
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};
use crate::host::scalar;
use crate::optim::{Kind, Optimizer, OptimizerState, Parameter};
use crate::run::{self, Dropout, Outcome, Run, Weights};
use crate::tape::Carry;
use crate::task::Batch;

/// A model as tensors on a device.
#[derive(Debug)]
pub(super) struct Candle {
    graph: Graph,
    weights: Weights,
    optimizer: Optimizer,
    aim: Aim,
    loss: LossConfig,
    /// Parts of a batch.
    accumulate: usize,
    /// Where the states of the next step begin, and what the last one kept of them, without gradients.
    carry: Carry,
    states: Vec<Tensor>,
    /// The average of the weights, which evaluations take in their place.
    average: Option<Weights>,
    /// Last, so that no tensor is left on it.
    _device: Ending,
}

/// The device, whose end waits for the whole GPU.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "cuda"),
    allow(dead_code, reason = "a CPU is not waited for")
)]
struct Ending(Option<Device>);

#[cfg(feature = "cuda")]
impl Drop for Ending {
    fn drop(&mut self) {
        minrnn_kernels::cuda::apart(|| self.0.take());
    }
}

impl Candle {
    pub(super) fn new(
        config: &TrainConfig,
        graph: &Graph,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        let weights = Weights::new(graph, params, DType::F32, device)?;
        let kinds = Kind::of(graph);
        let parameters = weights.vars().map(|(i, var)| Parameter {
            name: graph.params()[i].name.clone(),
            var: var.clone(),
            kind: kinds[i],
        });
        let optimizer = Optimizer::new(parameters.collect(), config.train.rule()?)?;
        Ok(Self {
            graph: graph.clone(),
            weights,
            optimizer,
            aim: Aim::new(graph),
            loss: config.train.loss.clone(),
            accumulate: config.train.accumulate,
            carry: Carry::None,
            states: vec![],
            average: None,
            _device: Ending(Some(device.clone())),
        })
    }
}

impl Candle {
    /// The states that some sequences of a step begin with; `None`: as the graph says.
    fn begin(&self, rows: Range<usize>) -> Result<Option<Vec<Tensor>>> {
        if self.carry != Carry::On {
            return Ok(None);
        }
        let graph = self.aim.graph();
        let begin = |(spec, state): (&StateSpec, &Tensor)| {
            let state = state.narrow(0, rows.start, rows.len())?.contiguous()?;
            let StateInit::Learned(param) = spec.init else {
                return Ok(state);
            };
            // What is learned is not begun with, and has a gradient all the same: 0.
            match self.weights.vars().find(|(i, _)| *i == param.index()) {
                Some((_, var)) => {
                    let none = Tensor::zeros(var.dims(), var.dtype(), var.device())?;
                    Ok(state.broadcast_add(&var.as_tensor().mul(&none)?)?)
                }
                None => Ok(state),
            }
        };
        let all = graph.states().iter().zip(&self.states).map(begin);
        all.collect::<Result<Vec<Tensor>>>().map(Some)
    }

    /// Remembers the states of a step that was made.
    fn keep(&mut self, states: Vec<Tensor>) {
        if self.carry != Carry::None {
            self.states = states.iter().map(Tensor::detach).collect();
        }
    }

    /// A step whose batch is computed in parts: the sum of their gradients is that of the whole.
    fn in_parts(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Report> {
        let mut sum: Option<(Tensor, GradStore)> = None;
        let parts = parts(batch, self.accumulate, &self.loss);
        let (mut row, mut kept) = (0, vec![]);
        for (i, (part, share)) in parts.iter().enumerate() {
            let states = self.begin(row..row + part.batch)?;
            row += part.batch;
            let step = Step {
                dropout: masks(dropout, i),
                loss: &self.loss,
                states: states.as_deref(),
            };
            let done = forward(self.aim.graph(), &self.weights, part, Some(step))?;
            kept.push(done.states);
            let loss = (done.loss * *share)?;
            let grads = loss.backward()?;
            let loss = loss.detach();
            sum = Some(match sum.take() {
                None => (loss, grads),
                Some((before, all)) => ((before + loss)?, self.added(all, &grads)?),
            });
        }
        let Some((loss, grads)) = sum else {
            return Err(TrainError::config("train.batch", "has no sequence"));
        };
        let (loss, report) = self.optimizer.step_with(&grads, &loss, lr)?;
        let count = self.aim.graph().states().len();
        let states = (0..count).map(|s| {
            let parts: Vec<&Tensor> = kept.iter().map(|part| &part[s]).collect();
            Tensor::cat(&parts, 0)
        });
        self.keep(states.collect::<candle_core::Result<_>>()?);
        Ok(Report {
            loss,
            grad_norm: report.grad_norm,
            ..Report::default()
        })
    }

    /// Gradients of the parameters, added.
    fn added(&self, mut all: GradStore, more: &GradStore) -> Result<GradStore> {
        for (_, var) in self.weights.vars() {
            let sum = match (all.get(var), more.get(var)) {
                (Some(a), Some(b)) => (a + b)?,
                (None, Some(b)) => b.clone(),
                (_, None) => continue,
            };
            all.insert(var, sum);
        }
        Ok(all)
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

    fn set_params(&mut self, params: &Params) -> Result<()> {
        for (i, var) in self.weights.vars() {
            var.set(&Tensor::from_slice(
                params.get(i),
                var.dims(),
                var.device(),
            )?)?;
        }
        Ok(())
    }

    fn set_average(&mut self, params: &Params) -> Result<()> {
        let device = self.weights.device();
        self.average = Some(Weights::new(&self.graph, params, DType::F32, device)?);
        Ok(())
    }

    fn average(&mut self, share: f32) -> Result<()> {
        let Some(average) = &self.average else {
            return Ok(());
        };
        for ((_, average), (_, now)) in average.vars().zip(self.weights.vars()) {
            let (old, now) = (average.as_detached_tensor(), now.as_detached_tensor());
            average.set(&match share == 1.0 {
                true => now.copy()?,
                false => (&old + ((now - &old)? * f64::from(share))?)?,
            })?;
        }
        Ok(())
    }

    fn averaged(&self) -> Result<Option<Params>> {
        let average = self.average.as_ref();
        Ok(average.map(|a| a.to_params(&self.graph)).transpose()?)
    }

    fn carry(&mut self, carry: Carry) {
        self.carry = carry;
    }

    fn states(&self) -> Result<Vec<TensorData>> {
        self.states.iter().map(TensorData::from_tensor).collect()
    }

    fn set_states(&mut self, states: &[&TensorData]) -> Result<()> {
        let device = self.weights.device();
        let states = states.iter().map(|s| s.to_tensor(device));
        self.states = states.collect::<Result<_>>()?;
        Ok(())
    }

    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>> {
        let batch = self.aim.batch(batch);
        if self.accumulate > 1 {
            return self.in_parts(&batch, dropout, lr).map(Some);
        }
        let states = self.begin(0..batch.batch)?;
        let step = Step {
            dropout,
            loss: &self.loss,
            states: states.as_deref(),
        };
        let done = forward(self.aim.graph(), &self.weights, &batch, Some(step))?;
        let (loss, report) = self.optimizer.step_of(&done.loss, lr)?;
        self.keep(done.states);
        Ok(Some(Report {
            loss,
            grad_norm: report.grad_norm,
            ..Report::default()
        }))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let weights = self.average.as_ref().unwrap_or(&self.weights);
        let done = forward(&self.graph, weights, batch, None)?;
        Ok((scalar(&done.loss)?, done.correct))
    }
}

/// What a step has beside a batch.
struct Step<'a> {
    dropout: Dropout,
    loss: &'a LossConfig,
    /// States to begin with; `None`: as the graph says.
    states: Option<&'a [Tensor]>,
}

/// What a forward pass gives.
struct Done {
    loss: Tensor,
    /// Targets met, of an evaluation of classes.
    correct: Option<usize>,
    /// States at the end.
    states: Vec<Tensor>,
}

/// The loss of a step, with dropout; or that of an evaluation, with the number of targets met.
fn forward(
    graph: &Graph,
    weights: &Weights,
    batch: &Batch,
    step: Option<Step<'_>>,
) -> Result<Done> {
    let tensors = Tensors::new(batch, weights.device())?;
    let run = Run {
        lens: batch.lens.as_deref(),
        reset: batch.reset.as_deref(),
        dropout: step.as_ref().map(|step| step.dropout),
        states: step.as_ref().and_then(|step| step.states),
        ..Run::new(&tensors.input)
    };
    let Outcome { output, states } = run::run(graph, weights, &run)?;
    if let Some(step) = step {
        return Ok(Done {
            loss: tensors.objective(&output, step.loss)?,
            correct: None,
            states,
        });
    }
    let output = output.detach();
    Ok(Done {
        loss: tensors.loss(&output)?,
        correct: tensors.correct(&output)?,
        states,
    })
}

#[cfg(all(test, feature = "cuda"))]
#[path = "candle_cuda_tests.rs"]
mod cuda_tests;
