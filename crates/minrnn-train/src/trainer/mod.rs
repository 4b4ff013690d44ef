//! The training loop: steps, evaluations, checkpoints. It prints nothing; a caller sees what happens through [`Event`]s.

mod aim;
mod backend;
mod candle;
mod changes;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod differences;
mod engine;
mod idle;
mod load;
mod loss;
mod memory;
mod objective;
mod origin;
mod record;
mod resume;

#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tests;

use minrnn_model::model::Model;
use minrnn_model::params::Params;
use serde::Serialize;

use backend::Backend;
pub use backend::Device;
pub use config::{Precision, TrainConfig, TrainOptions, resolve};
pub use engine::TrainEngine;
pub use load::{load_model, model_config, take_model};
pub use memory::Memory;
pub use objective::{LossConfig, LossKind};
use record::Record;
pub use resume::{ResumeOptions, open_data};

use crate::checkpoint::{BestMetric, Checkpoint, TensorData, TrainerState};
use crate::error::{Result, TrainError};
use crate::run::Dropout;
use crate::task::{DataDigest, Split, Task, eval_ranges};

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepLog {
    /// Its number, counted from 0.
    pub step: u64,
    /// Loss of its batch, before the update: nats, or squared error, of a model that normalises its values in units of their variance.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Steps of input, B * T.
    pub tokens: usize,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Mean loss over all targets that count: nats, or squared error in the units of the data.
    pub loss: f64,
    /// Share of targets that are the largest logit; `None` for real targets.
    pub accuracy: Option<f64>,
    /// Targets that counted.
    pub count: usize,
}

/// What happens in [`Trainer::fit`].
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A step was done.
    Step(StepLog),
    /// An evaluation goes on, or begins where `done` is 0: so many of all its sequences are done.
    Evaluating {
        /// Sequences done.
        done: u64,
        /// Sequences in all.
        all: u64,
    },
    /// An evaluation was done after so many steps; whether it is the best so far.
    Eval {
        /// Steps done.
        step: u64,
        /// The result.
        metrics: Metrics,
        /// Whether it is the best so far.
        best: bool,
    },
}

/// What a caller of [`Trainer::fit`] wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop after this event, or after the evaluation that it belongs to; the trainer stays usable.
    Stop,
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
        config::check_values(&config.model, &*task)?;
        idle::refuse_idle(&config.train, &*task, device)?;
        let chosen = engine::choose(&config.train, model.graph(), device)?;
        let backend = backend::open(&config, model.graph(), params, device, chosen.tape)?;
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
            evaluation_due: false,
        };
        Ok(Self {
            config,
            model,
            task,
            backend,
            state,
            record,
            notes: chosen.note.into_iter().collect(),
        })
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
    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.state.step
    }
    /// The weights as they are now.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn params(&self) -> Result<Params> {
        self.backend.params()
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
        for step in self.state.step..self.state.step + most.min(self.backend.line()) {
            let first =
                self.state.samples + (step - self.state.step) * self.config.train.batch as u64;
            let batch = self
                .task
                .batch(Split::Train, first, self.config.train.batch)?;
            let dropout = Dropout {
                seed: self.config.train.seed,
                step,
            };
            let lr = self.state.schedule.lr_at(step);
            let report = self.backend.step(&batch, dropout, lr)?;
            logs.push(StepLog {
                step,
                loss: report.map_or(0.0, |r| r.loss),
                lr,
                grad_norm: report.map_or(0.0, |r| r.grad_norm),
                tokens: batch.batch * batch.time,
            });
        }
        let (late, error) = self.backend.reports()?;
        if !late.is_empty() || error.is_some() {
            logs.truncate(late.len());
            for (log, report) in logs.iter_mut().zip(late) {
                (log.loss, log.grad_norm) = (report.loss, report.grad_norm);
            }
        }
        self.state.step += logs.len() as u64;
        self.state.samples += logs.len() as u64 * self.config.train.batch as u64;
        Ok((logs, error))
    }

    /// Evaluates a split: its first `samples` sequences, or all of them if 0.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a split that is empty; [`TrainError::NonFinite`].
    pub fn evaluate(&self, split: Split, samples: u64) -> Result<Metrics> {
        self.evaluate_seen(split, samples, &mut |_, _| Ok(()))
    }

    /// The same; `see` hears before each batch how many of how many sequences are done, and its error ends it.
    fn evaluate_seen(
        &self,
        split: Split,
        samples: u64,
        see: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Metrics> {
        let (mut loss, mut correct, mut count) = (0.0, Some(0), 0);
        let most = if samples == 0 { u64::MAX } else { samples };
        // The last batch is cut: what is measured does not depend on the size of a batch.
        let ranges: Vec<_> = eval_ranges(&*self.task, split, self.config.train.batch)
            .take_while(|(first, _)| *first < most)
            .map(|(first, size)| (first, size.min((most - first).try_into().unwrap_or(size))))
            .collect();
        let all = ranges
            .last()
            .map_or(0, |(first, size)| first + *size as u64);
        for (first, size) in ranges {
            see(first, all)?;
            let batch = self.task.batch(split, first, size)?;
            let (mean, met) = self.backend.evaluate(&batch)?;
            loss += mean * batch.counted() as f64;
            correct = correct.zip(met).map(|(a, b)| a + b);
            count += batch.counted();
        }
        if count == 0 {
            return Err(TrainError::config(
                "task",
                format!("has no {} part to evaluate on", split.name()),
            ));
        }
        if !loss.is_finite() {
            return Err(TrainError::NonFinite {
                what: format!("the loss over the {} part", split.name()),
                step: self.state.step,
            });
        }
        Ok(Metrics {
            loss: loss / count as f64,
            accuracy: correct.map(|c| c as f64 / count as f64),
            count,
        })
    }

    /// Trains to the end, evaluating in between, and once more over everything at the end (the result). Without a validation
    /// part nothing is evaluated, and there is no result.
    ///
    /// A checkpoint taken at any event goes on as if it had not been taken, also before and within an evaluation: that is
    /// made again.
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and [`Trainer::evaluate`].
    pub fn fit(
        &mut self,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<Option<Metrics>> {
        let options = self.config.train.clone();
        while self.state.step < options.steps {
            if !self.state.evaluation_due && self.advance(&options, observe)? == Control::Stop {
                break;
            }
            if self.state.evaluation_due {
                let (metrics, control) = self.evaluated(options.eval_samples, None, observe)?;
                let enough = options
                    .stop_at_accuracy
                    .zip(metrics.accuracy)
                    .is_some_and(|(want, got)| got >= want);
                if control == Control::Stop || enough {
                    break;
                }
            }
        }
        if !self.has_validation() {
            return Ok(None);
        }
        // The best of all is chosen among evaluations of the same sequences.
        let judged = match self.is_part(&options) {
            true => Some(self.observed(options.eval_samples, observe)?.0),
            false => None,
        };
        Ok(Some(self.evaluated(0, judged, observe)?.0))
    }

    /// Whether the task has a validation part: without one there are no evaluations, and no best.
    pub fn has_validation(&self) -> bool {
        self.task.len(Split::Validation) != Some(0)
    }

    /// The best result so far counts no longer: the next evaluation is the best.
    pub fn forget_best(&mut self) {
        self.state.best = None;
        self.state.evals_since_best = 0;
    }

    /// Whether evaluations during training are of a part of what the last one is of.
    fn is_part(&self, options: &TrainOptions) -> bool {
        let all = self.task.len(Split::Validation).unwrap_or(0);
        options.eval_every > 0 && (1..all).contains(&options.eval_samples)
    }

    /// Steps up to the next evaluation at most, as many as the device takes in one go.
    fn advance(
        &mut self,
        options: &TrainOptions,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<Control> {
        let left = options.steps - self.state.step;
        let until = match options.eval_every {
            0 => left,
            every => left.min(every - self.state.step % every),
        };
        let (logs, error) = self.steps(until)?;
        self.state.evaluation_due = options.eval_every > 0
            && self.state.step.is_multiple_of(options.eval_every)
            && self.state.step < options.steps;
        let mut stopped = false;
        for log in logs {
            stopped |= observe(self, Event::Step(log))? == Control::Stop;
        }
        match error {
            Some(error) => Err(error),
            None if stopped => Ok(Control::Stop),
            None => Ok(Control::Continue),
        }
    }

    /// Evaluates the validation part, its first `samples` sequences or all of them if 0; an observer sees how far it is, and
    /// may end it.
    fn observed(
        &self,
        samples: u64,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<(Metrics, Control)> {
        let mut control = Control::Continue;
        let metrics = self.evaluate_seen(Split::Validation, samples, &mut |done, all| {
            if observe(self, Event::Evaluating { done, all })? == Control::Stop {
                control = Control::Stop;
            }
            Ok(())
        })?;
        Ok((metrics, control))
    }

    /// The same, and remembers the result, or in its place that of other sequences.
    fn evaluated(
        &mut self,
        samples: u64,
        judged: Option<Metrics>,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<(Metrics, Control)> {
        let (metrics, mut control) = self.observed(samples, observe)?;
        let best = self.note(judged.unwrap_or(metrics));
        self.state.evaluation_due = false;
        let step = self.state.step;
        let event = Event::Eval {
            step,
            metrics,
            best,
        };
        if observe(self, event)? == Control::Stop {
            control = Control::Stop;
        }
        Ok((metrics, control))
    }

    /// Remembers an evaluation; whether it is the best so far.
    fn note(&mut self, metrics: Metrics) -> bool {
        let best = self
            .state
            .best
            .as_ref()
            .is_none_or(|b| metrics.loss < b.value);
        self.state.evals_since_best = if best {
            0
        } else {
            self.state.evals_since_best + 1
        };
        if best {
            self.state.best = Some(BestMetric {
                name: "loss".into(),
                value: metrics.loss,
                step: self.state.step,
            });
        }
        best
    }

    /// Everything that is needed to use the model, and to go on training.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let named = self.params()?.to_named(self.model.graph());
        Ok(Checkpoint {
            config: checkpoint_config(&self.config, &self.model, &self.record)?,
            params: named
                .into_iter()
                .map(|(n, (shape, data))| (n, TensorData { shape, data }))
                .collect(),
            optimizer: Some(self.backend.state_dict()?),
            trainer: Some(self.state.clone()),
            vocabulary: self.task.vocabulary().map(|v| v.tokens().to_vec()),
        })
    }
}

/// Refuses a run that does not fit into the memory, before it takes any.
fn check_memory(
    config: &TrainConfig,
    model: &Model,
    task: &dyn Task,
    device: &Device,
) -> Result<()> {
    let Some(limit) = config.train.memory else {
        return Ok(());
    };
    let (batch, time) = (config.train.batch, task.longest()?);
    let needs = Memory {
        data: config.task.kept()?,
        ..Memory::of(model.graph(), batch, time, device.is_cpu())
    };
    needs.check(Some(limit))
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
