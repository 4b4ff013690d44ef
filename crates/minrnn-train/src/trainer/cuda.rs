//! The trainer's steps on a GPU.

use std::sync::{Mutex, MutexGuard, PoisonError};

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{self, Gpu};
use minrnn_kernels::loss_scale::LossScale;
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::accumulate::Split;
use super::aim::Aim;
use super::backend::{Backend, Report};
use super::carried::{join, split};
use super::config::TrainConfig;
use super::precision::Precision;
use super::remembered::Remembered;
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};
use crate::optim::OptimizerState;
use crate::run::Dropout;
use crate::tape::Carry;
use crate::tape::cuda::{Engine, EngineOptions, Inputs, Wanted};
use crate::task::{Batch, Input, Targets};

/// Steps on the GPU before the host reads their reports.
const LINE: u64 = 16;

/// A model on a GPU. The lock lets an evaluation, which makes plans, go through a shared reference.
#[derive(Debug)]
pub(super) struct Cuda {
    engine: Mutex<Engine>,
    remembered: Remembered,
    aim: Aim,
    split: Split,
    updates: u64,
}

impl Cuda {
    pub(super) fn new(
        gpu: &Gpu,
        config: &TrainConfig,
        graph: &Graph,
        params: &Params,
    ) -> Result<Self> {
        let (compute, precision) = match config.train.precision {
            Precision::F32 => (Elem::F32, cuda::Precision::F32),
            Precision::Tf32 => (Elem::F32, cuda::Precision::Tf32),
            Precision::Bf16 => (Elem::Bf16, cuda::Precision::F32),
            Precision::F16 => (Elem::F16, cuda::Precision::F32),
        };
        let rule = config.train.rule()?;
        let options = EngineOptions {
            compute,
            precision,
            rule: rule.clone(),
            seed: config.train.seed,
            tuned: config.train.tuned,
        };
        let mut engine = Engine::new(gpu, graph, params, options)?;
        if config.train.precision == Precision::F16 {
            let scale = config.train.loss_scale.clone().unwrap_or_default();
            engine.set_loss_scale(scale.first())?;
        }
        Ok(Self {
            engine: Mutex::new(engine),
            remembered: Remembered::new(graph, rule),
            aim: Aim::new(graph),
            split: Split::new(&config.train),
            updates: 0,
        })
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Cuda {
    fn bytes(&self) -> Option<usize> {
        Some(self.engine().bytes())
    }

    fn params(&self) -> Result<Params> {
        self.engine().params()
    }

    fn state_dict(&self) -> Result<OptimizerState> {
        let slots = self.engine().slots()?;
        Ok(self.remembered.state(self.updates, slots))
    }

    fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        let mut engine = self.engine();
        let slots = self.remembered.slots(state, engine.trained())?;
        engine.set_slots(&slots)?;
        drop(engine);
        self.updates = state.step;
        Ok(())
    }

    fn line(&self) -> u64 {
        LINE
    }

    fn set_params(&mut self, params: &Params) -> Result<()> {
        self.engine().set_params(params)?;
        Ok(())
    }

    fn set_average(&mut self, params: &Params) -> Result<()> {
        self.engine().set_average(params)?;
        Ok(())
    }

    fn average(&mut self, share: f32) -> Result<()> {
        self.engine().average(share)?;
        Ok(())
    }

    fn averaged(&self) -> Result<Option<Params>> {
        self.engine().averaged()
    }

    fn loss_scale(&self) -> Option<LossScale> {
        self.engine().loss_scale()
    }

    fn set_loss_scale(&mut self, scale: LossScale) -> Result<()> {
        self.engine().set_loss_scale(scale)
    }

    fn carry(&mut self, carry: Carry) {
        self.engine().carry(carry);
    }

    fn states(&self) -> Result<Vec<TensorData>> {
        Ok(split(self.aim.graph(), &self.engine().carried()?))
    }

    fn set_states(&mut self, states: &[&TensorData]) -> Result<()> {
        self.engine().set_carried(&join(states))?;
        Ok(())
    }

    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>> {
        let update = self.updates + 1;
        let batch = self.aim.batch(batch);
        match self.split.of(&batch, dropout) {
            Some(parts) => {
                let parts = parts.iter().map(|part| part.given(inputs));
                let parts = parts.collect::<Result<Vec<_>>>()?;
                self.engine()
                    .step_in_parts(&parts, dropout.step, update, lr)?;
            }
            None => {
                let inputs = inputs(&batch)?;
                self.engine().step(inputs, dropout.step, update, lr)?;
            }
        }
        self.updates = update;
        Ok(None)
    }

    fn reports(&mut self) -> Result<(Vec<Report>, Option<TrainError>)> {
        let (reports, waiting, error) = {
            let mut engine = self.engine();
            let waiting = engine.pending();
            let (reports, error) = engine.reports()?;
            (reports, waiting, error)
        };
        // Steps behind one that failed changed nothing, and those that were left out were no updates.
        let skipped = reports.iter().filter(|r| r.skipped).count();
        self.updates -= (waiting - reports.len() + skipped) as u64;
        let reports = reports.into_iter().map(|r| Report {
            loss: f64::from(r.loss),
            grad_norm: f64::from(r.grad_norm),
            loss_scale: r.scale.map(f64::from),
            skipped: r.skipped,
        });
        Ok((reports.collect(), error))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let (loss, correct) = self.engine().evaluate(inputs(batch)?)?;
        Ok((f64::from(loss), correct.map(|c| c as usize)))
    }
}

fn inputs(batch: &Batch) -> Result<Inputs<'_>> {
    batch.validate()?;
    if batch.reset.is_some() {
        return Err(TrainError::tensor(
            "reset",
            "is given, but kernels for GPUs know no resets; train on the cpu, or use whole sequences",
        ));
    }
    let (ids, features): (&[u32], &[f32]) = match &batch.input {
        Input::Tokens { ids } => (ids, &[]),
        Input::Features { values, .. } => (&[], values),
    };
    Ok(Inputs {
        batch: batch.batch,
        time: batch.time,
        ids,
        features,
        wanted: match &batch.targets {
            Targets::Classes { ids, .. } => Wanted::Classes(ids),
            Targets::Values { values, .. } => Wanted::Values(values),
        },
        weights: batch.weights.as_deref(),
        lens: batch.lens.as_deref(),
    })
}
