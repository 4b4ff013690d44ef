//! The training loop: steps, evaluations, checkpoints. It prints nothing; a caller sees what happens through [`Event`]s.

mod accumulate;
mod aim;
mod average;
mod backend;
mod candle;
mod carried;
mod changes;
mod checks;
mod config;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod differences;
mod engine;
mod evaluate;
mod fit;
mod idle;
mod loss;
mod loss_scale;
mod memory;
mod objective;
mod on_nan;
mod origin;
mod precision;
mod record;
mod remembered;
mod resume;
mod roll_back;
mod streams;

#[cfg(test)]
mod average_tests;
#[cfg(test)]
mod carry_sequences_tests;
#[cfg(test)]
mod carry_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod roll_back_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use minrnn_model::model::Model;
use minrnn_model::params::Params;
use serde::Serialize;

pub use average::{AverageConfig, AverageKind};
use backend::Backend;
pub use backend::Device;
pub use checks::fits;
use checks::{check_length, check_memory};
pub use config::{TrainConfig, TrainEngine, TrainOptions, resolve};
pub use evaluate::Metrics;
pub use fit::{Control, Event, RolledBack};
pub use loss_scale::LossScaleConfig;
pub use objective::{LossConfig, LossKind};
pub use on_nan::OnNan;
pub use precision::Precision;
use record::Record;
pub use resume::{ResumeOptions, open_data};
use roll_back::Snapshot;

use crate::checkpoint::{Checkpoint, TensorData, TrainerState};
use crate::data::Vocabulary;
use crate::error::{Result, TrainError};
pub use crate::memory::Memory;
use crate::run::Dropout;
#[cfg(test)]
use crate::task::Split;
use crate::task::{DataDigest, Task};

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepLog {
    /// Its number, counted from 0.
    pub step: u64,
    /// Loss of its batch, before the update: nats, or squared error, of a model that normalises its values in units of their variance.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Norm of the gradient before clipping; not finite where the step was skipped.
    pub grad_norm: f64,
    /// Steps of input, B * T.
    pub tokens: usize,
    /// What the loss was multiplied by, where gradients are computed in float16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Whether it was left out, since a gradient was not finite at that factor: it changed nothing but the factor.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// A training run.
#[derive(Debug)]
pub struct Trainer {
    config: TrainConfig,
    model: Model,
    task: Box<dyn Task>,
    backend: Box<dyn Backend>,
    state: TrainerState,
    record: Record,
    notes: Vec<String>,
    /// What it would roll back to, and what was not finite the last time.
    snapshot: Option<Box<Snapshot>>,
    trouble: Option<String>,
}

impl Trainer {
    /// A new run.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Model`], and the errors of the task's files; [`TrainError::Memory`] for what does
    /// not fit into [`TrainOptions::memory`].
    pub fn new(config: &TrainConfig, device: &Device) -> Result<Self> {
        config.validate()?;
        config::refuse_idle_norms(&config.model)?;
        let task = config
            .task
            .open_within(config.train.seed, config.train.memory)?;
        let resolved = resolve(&config.model, &*task)?;
        let model = Model::from_config(&resolved)?;
        Self::with_model(
            TrainConfig {
                model: resolved,
                ..config.clone()
            },
            model,
            task,
            device,
        )
    }

    /// A new run of a model of one's own. The model must fit the task.
    ///
    /// # Errors
    /// [`TrainError::Config`] for options that make no sense.
    pub fn with_model(
        config: TrainConfig,
        model: Model,
        task: Box<dyn Task>,
        device: &Device,
    ) -> Result<Self> {
        config.train.validate()?;
        check_memory(&config, &model, &*task, device)?;
        check_length(&config, &model, &*task)?;
        let params = Params::init(model.graph(), config.train.seed);
        let data = task.digest();
        Self::with_params(config, model, task, data, &params, device)
    }

    /// A new run that begins with these weights.
    fn with_params(
        config: TrainConfig,
        model: Model,
        task: Box<dyn Task>,
        data: Option<DataDigest>,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        config.train.validate()?;
        check_memory(&config, &model, &*task, device)?;
        check_length(&config, &model, &*task)?;
        config::check_values(&config.model, &*task)?;
        idle::refuse_idle(&config.train, &*task, device)?;
        config.train.optimizer.refuse_idle(model.graph())?;
        let chosen = engine::choose(&config.train, model.graph(), device)?;
        let mut backend = engine::open(&config, model.graph(), params, device, chosen.tape)?;
        if config.train.average.is_some() {
            backend.set_average(params)?;
        }
        let record = Record {
            device: Some(chosen.place.to_owned()),
            data,
        };
        let state = TrainerState {
            step: 0,
            seed: config.train.seed,
            samples: 0,
            schedule: config.train.schedule(),
            best: None,
            evals_since_best: 0,
            reached: None,
            evaluation_due: false,
            roll_backs: 0,
            average_since: 0,
            skipped: 0,
            loss_scale: None,
            streams: streams::first(&config.train, &*task)?,
            parts: BTreeMap::new(),
        };
        let mut trainer = Self {
            config,
            model,
            task,
            backend,
            state,
            record,
            notes: chosen.note.into_iter().collect(),
            snapshot: None,
            trouble: None,
        };
        trainer.note_loss_scale();
        Ok(trainer)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }
    /// The configuration, with what the task determines filled in.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }
    /// The task.
    pub fn task(&self) -> &dyn Task {
        &*self.task
    }
    /// What is to be known about a run: which engine was chosen, and of one that began from a checkpoint each change, and what it does.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
    /// What it is trained on, of tasks with files.
    pub fn data(&self) -> Option<&DataDigest> {
        self.record.data.as_ref()
    }
    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.state.step
    }
    /// Bytes that the steps so far hold on the device, weights and moments too: what the tape has planned. `None` by candle, which takes
    /// memory as it goes.
    pub fn bytes(&self) -> Option<usize> {
        self.backend.bytes()
    }
    /// The weights as they are now: their average, where [`TrainOptions::average`] says so.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn params(&self) -> Result<Params> {
        match self.backend.averaged()? {
            Some(average) => Ok(average),
            None => self.backend.params(),
        }
    }

    /// One optimizer step.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] naming the first tensor, before anything was changed by it.
    pub fn step(&mut self) -> Result<StepLog> {
        let (logs, error) = self.steps(1)?;
        match (error, logs.first()) {
            (Some(error), _) => Err(error),
            (None, Some(log)) => Ok(*log),
            (None, None) => Err(TrainError::config("train.steps", "ended without a report")),
        }
    }

    /// Up to `most` optimizer steps, as many as the device takes in one go: what they reported, and what stopped them.
    fn steps(&mut self, most: u64) -> Result<(Vec<StepLog>, Option<TrainError>)> {
        let mut logs = vec![];
        let mut place = self.state.streams;
        for step in self.state.step..self.state.step + most.min(self.backend.line()) {
            let first =
                self.state.samples + (step - self.state.step) * self.config.train.batch as u64;
            let batch = self.next_batch(first, &mut place)?;
            let dropout = Dropout {
                seed: self.config.train.seed,
                step,
            };
            let lr = self.state.schedule.lr_at(step) * self.lowered();
            let report = self.backend.step(&batch, dropout, lr)?;
            if let Some(average) = &self.config.train.average {
                self.backend
                    .average(average.share(step, self.state.average_since))?;
            }
            let report = report.unwrap_or_default();
            logs.push(StepLog {
                step,
                loss: report.loss,
                lr,
                grad_norm: report.grad_norm,
                tokens: batch.batch * batch.time,
                loss_scale: report.loss_scale,
                skipped: report.skipped,
            });
        }
        let (late, error) = self.backend.reports()?;
        if !late.is_empty() || error.is_some() {
            logs.truncate(late.len());
            for (log, report) in logs.iter_mut().zip(late) {
                (log.loss, log.grad_norm) = (report.loss, report.grad_norm);
                (log.loss_scale, log.skipped) = (report.loss_scale, report.skipped);
            }
        }
        self.note_loss_scale();
        self.state.skipped += logs.iter().filter(|log| log.skipped).count() as u64;
        self.state.streams = match error {
            // What the steps behind the one that failed left of the states is of no use.
            Some(_) => self.state.streams.map(streams::next_pass),
            None => place,
        };
        self.state.step += logs.len() as u64;
        self.state.samples += logs.len() as u64 * self.config.train.batch as u64;
        Ok((logs, error))
    }

    /// Everything that is needed to use the model, and to go on training.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let named = |params: Params| -> BTreeMap<String, TensorData> {
            let named = params.to_named(self.model.graph()).into_iter();
            let tensor = |(n, (shape, data))| (n, TensorData { shape, data });
            named.map(tensor).collect()
        };
        let raw = match self.config.train.average {
            Some(_) => Some(named(self.backend.params()?)),
            None => None,
        };
        Ok(Checkpoint {
            config: checkpoint_config(&self.config, &self.model, &self.record)?,
            params: named(self.params()?),
            raw,
            optimizer: Some(self.backend.state_dict()?),
            trainer: Some(self.state.clone()),
            states: self.carried()?,
            vocabulary: self.task.vocabulary().map(Vocabulary::plain),
        })
    }
}

fn checkpoint_config(
    config: &TrainConfig,
    model: &Model,
    record: &Record,
) -> Result<serde_json::Value> {
    let bad = |e: serde_json::Error| {
        TrainError::config("config", format!("cannot be written as JSON: {e}"))
    };
    let mut json = serde_json::to_value(config).map_err(bad)?;
    json["model"] = model.config().clone();
    json["run"] = serde_json::to_value(record).map_err(bad)?;
    Ok(json)
}
