//! The trainer's steps by the tape on the CPU.

use std::sync::{Mutex, MutexGuard, PoisonError};

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::accumulate::Split;
use super::aim::Aim;
use super::backend::{Backend, Report};
use super::carried::{join, split};
use super::config::TrainConfig;
use super::remembered::Remembered;
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};
use crate::optim::OptimizerState;
use crate::run::Dropout;
use crate::tape::cpu::{Engine, EngineOptions};
use crate::tape::{Carry, Inputs};
use crate::task::Batch;

/// A model in memory. The lock lets an evaluation, which makes plans, go through a shared reference.
#[derive(Debug)]
pub(super) struct Cpu {
    engine: Mutex<Engine>,
    remembered: Remembered,
    aim: Aim,
    split: Split,
    updates: u64,
}

impl Cpu {
    pub(super) fn new(config: &TrainConfig, graph: &Graph, params: &Params) -> Result<Self> {
        let rule = config.train.rule()?;
        let options = EngineOptions {
            rule: rule.clone(),
            seed: config.train.seed,
        };
        Ok(Self {
            engine: Mutex::new(Engine::new(graph, params, options)?),
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

impl Backend for Cpu {
    fn bytes(&self) -> Option<usize> {
        Some(self.engine().bytes())
    }

    fn params(&self) -> Result<Params> {
        let mut engine = self.engine();
        // Copies are made, perhaps for a checkpoint: they have room where the step's memory was.
        engine.release();
        Ok(engine.params())
    }

    fn state_dict(&self) -> Result<OptimizerState> {
        let slots = self.engine().slots();
        Ok(self.remembered.state(self.updates, slots))
    }

    fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        let mut engine = self.engine();
        let slots = self.remembered.slots(state, engine.trained())?;
        engine.set_slots(&slots);
        drop(engine);
        self.updates = state.step;
        Ok(())
    }

    fn set_params(&mut self, params: &Params) -> Result<()> {
        self.engine().set_params(params);
        Ok(())
    }

    fn set_average(&mut self, params: &Params) -> Result<()> {
        self.engine().set_average(params);
        Ok(())
    }

    fn average(&mut self, share: f32) -> Result<()> {
        self.engine().average(share);
        Ok(())
    }

    fn averaged(&self) -> Result<Option<Params>> {
        Ok(self.engine().averaged())
    }

    fn carry(&mut self, carry: Carry) {
        self.engine().carry(carry);
    }

    fn states(&self) -> Result<Vec<TensorData>> {
        Ok(split(self.aim.graph(), self.engine().carried()))
    }

    fn set_states(&mut self, states: &[&TensorData]) -> Result<()> {
        self.engine().set_carried(join(states));
        Ok(())
    }

    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>> {
        let batch = self.aim.batch(batch);
        let update = self.updates + 1;
        let report = match self.split.of(&batch, dropout) {
            Some(parts) => {
                let parts = parts.iter().map(|part| part.given(inputs));
                let parts = parts.collect::<Result<Vec<_>>>()?;
                self.engine()
                    .step_in_parts(&parts, dropout.step, update, lr)?
            }
            None => self
                .engine()
                .step(inputs(&batch)?, dropout.step, update, lr)?,
        };
        self.updates = update;
        Ok(Some(Report {
            loss: f64::from(report.loss),
            grad_norm: report.grad_norm,
            ..Report::default()
        }))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let (loss, correct) = self.engine().evaluate(inputs(batch)?)?;
        Ok((f64::from(loss), correct.map(|c| c as usize)))
    }
}

fn inputs(batch: &Batch) -> Result<Inputs<'_>> {
    if batch.reset.is_some() {
        return Err(TrainError::tensor(
            "reset",
            "is given, but the tape knows no resets; train with train.engine = \"candle\", or use whole sequences",
        ));
    }
    Inputs::of(batch)
}
