//! The training loop: steps, evaluations, checkpoints. It prints nothing; a caller sees what happens through [`Event`]s.

mod backend;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod loss;

#[cfg(test)]
mod tests;

use std::path::Path;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use serde::Serialize;

use backend::Backend;
pub use backend::Device;
pub use config::{Precision, TrainConfig, TrainOptions, resolve};

use crate::checkpoint::{BestMetric, Checkpoint, TensorData, TrainerState};
use crate::error::{CheckpointProblem, Result, TrainError};
use crate::run::Dropout;
use crate::task::{Split, Task, eval_ranges};

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepLog {
    /// Its number, counted from 0.
    pub step: u64,
    /// Loss of its batch, before the update: nats, or squared error.
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
    /// Mean loss over all targets that count: nats, or squared error.
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
    /// Stop after this event; the trainer stays usable.
    Stop,
}

/// A training run.
#[derive(Debug)]
pub struct Trainer {
    config: TrainConfig,
    model: Model,
    task: Box<dyn Task>,
    backend: Backend,
    state: TrainerState,
}

impl Trainer {
    /// A new run.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Model`], and the errors of the task's files.
    pub fn new(config: &TrainConfig, device: &Device) -> Result<Self> {
        let task = config.task.open(config.train.seed)?;
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
        let backend = Backend::new(&config, &model, device)?;
        let state = TrainerState {
            step: 0,
            seed: config.train.seed,
            samples: 0,
            schedule: config.train.schedule(),
            best: None,
            evals_since_best: 0,
        };
        Ok(Self {
            config,
            model,
            task,
            backend,
            state,
        })
    }

    /// Goes on where a checkpoint of [`Trainer::checkpoint`] stopped, bit for bit. `path` is for messages.
    ///
    /// # Errors
    /// A checkpoint without the state of a training, or of another model.
    pub fn resume(
        config: &TrainConfig,
        checkpoint: &Checkpoint,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        let mut trainer = Self::new(config, device)?;
        let (Some(optimizer), Some(state)) = (&checkpoint.optimizer, &checkpoint.trainer) else {
            let file = if checkpoint.optimizer.is_none() {
                "optimizer.safetensors"
            } else {
                "trainer_state.json"
            };
            return Err(TrainError::checkpoint(
                path,
                CheckpointProblem::MissingFile { file: file.into() },
            ));
        };
        if state.seed != config.train.seed {
            let message = format!(
                "is {}, the checkpoint was trained with {}",
                config.train.seed, state.seed
            );
            return Err(TrainError::config("train.seed", message));
        }
        let params = params_of(checkpoint, &trainer.model, path)?;
        trainer.backend.set_params(&trainer.model, &params)?;
        trainer.backend.load_state_dict(optimizer)?;
        trainer.state = TrainerState {
            schedule: config.train.schedule(),
            ..state.clone()
        };
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
    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.state.step
    }
    /// The weights as they are now.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn params(&self) -> Result<Params> {
        self.backend.params(&self.model)
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
            let report = self.backend.step(&self.model, &batch, dropout, lr)?;
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
    /// [`TrainError::Config`] for a split that is empty.
    pub fn evaluate(&self, split: Split, samples: u64) -> Result<Metrics> {
        let (mut loss, mut correct, mut count) = (0.0, Some(0), 0);
        for (first, size) in eval_ranges(&*self.task, split, self.config.train.batch) {
            if samples > 0 && first >= samples {
                break;
            }
            let batch = self.task.batch(split, first, size)?;
            let (mean, met) = self.backend.evaluate(&self.model, &batch)?;
            loss += mean * batch.counted() as f64;
            correct = correct.zip(met).map(|(a, b)| a + b);
            count += batch.counted();
        }
        if count == 0 {
            return Err(TrainError::config(
                "eval",
                format!("the task has no {} part", split.name()),
            ));
        }
        Ok(Metrics {
            loss: loss / count as f64,
            accuracy: correct.map(|c| c as f64 / count as f64),
            count,
        })
    }

    /// Trains to the end, evaluating in between, and once more over everything at the end (the result).
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and [`Trainer::evaluate`].
    pub fn fit(
        &mut self,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<Metrics> {
        let options = self.config.train.clone();
        while self.state.step < options.steps {
            let left = options.steps - self.state.step;
            let until = match options.eval_every {
                0 => left,
                every => left.min(every - self.state.step % every),
            };
            let (logs, error) = self.steps(until)?;
            let mut stopped = false;
            for log in logs {
                stopped |= observe(self, Event::Step(log))? == Control::Stop;
            }
            if let Some(error) = error {
                return Err(error);
            }
            if stopped {
                break;
            }
            let due = options.eval_every > 0 && self.state.step.is_multiple_of(options.eval_every);
            if due && self.state.step < options.steps {
                let metrics = self.evaluate(Split::Validation, options.eval_samples)?;
                let best = self.note(metrics);
                let event = Event::Eval {
                    step: self.state.step,
                    metrics,
                    best,
                };
                let enough = options
                    .stop_at_accuracy
                    .zip(metrics.accuracy)
                    .is_some_and(|(want, got)| got >= want);
                if observe(self, event)? == Control::Stop || enough {
                    break;
                }
            }
        }
        let metrics = self.evaluate(Split::Validation, 0)?;
        let best = self.note(metrics);
        observe(
            self,
            Event::Eval {
                step: self.state.step,
                metrics,
                best,
            },
        )?;
        Ok(metrics)
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
            config: checkpoint_config(&self.config, &self.model)?,
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

fn checkpoint_config(config: &TrainConfig, model: &Model) -> Result<serde_json::Value> {
    let bad = |e: serde_json::Error| {
        TrainError::config("config", format!("cannot be written as JSON: {e}"))
    };
    let mut json = serde_json::to_value(config).map_err(bad)?;
    json["model"] = model.config().clone();
    Ok(json)
}

/// The model of a checkpoint. `path` is for messages.
///
/// # Errors
/// [`TrainError::Checkpoint`] if its configuration describes no model, or its tensors are not those of the model.
pub fn load_model(checkpoint: &Checkpoint, path: &Path) -> Result<(Model, Params)> {
    let model = described(checkpoint, path)?;
    let params = params_of(checkpoint, &model, path)?;
    Ok((model, params))
}

fn described(checkpoint: &Checkpoint, path: &Path) -> Result<Model> {
    let json = checkpoint.config.get("model").cloned().unwrap_or_default();
    let bad = |message: String| TrainError::Data {
        path: path.join("config.json"),
        place: "model".into(),
        message,
    };
    if json.pointer("/cell/kind").and_then(|k| k.as_str()) == Some("custom") {
        let name = json
            .pointer("/cell/name")
            .and_then(|n| n.as_str())
            .unwrap_or("?");
        return Err(bad(format!(
            "has a layer of its own, `{name}`; only the program that defines it can load it"
        )));
    }
    let config: ModelConfig =
        serde_json::from_value(json).map_err(|e| bad(format!("is no model configuration: {e}")))?;
    Model::from_config(&config).map_err(|e| bad(e.to_string()))
}

/// [`load_model`] that moves the parameters out of the checkpoint: a large model is in memory once.
///
/// # Errors
/// As [`load_model`].
pub fn take_model(checkpoint: &mut Checkpoint, path: &Path) -> Result<(Model, Params)> {
    let model = described(checkpoint, path)?;
    checked(checkpoint, &model, path)?;
    let params = std::mem::take(&mut checkpoint.params);
    let named = params.into_iter().map(|(n, t)| (n, (t.shape, t.data)));
    let params = Params::from_named(model.graph(), named.collect())?;
    Ok((model, params))
}

fn params_of(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<Params> {
    checked(checkpoint, model, path)?;
    let named = checkpoint
        .params
        .iter()
        .map(|(n, t)| (n.clone(), (t.shape.clone(), t.data.clone())))
        .collect();
    Ok(Params::from_named(model.graph(), named)?)
}

fn checked(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<()> {
    let wanted: Vec<_> = model
        .graph()
        .params()
        .iter()
        .map(|s| (s.name.clone(), s.shape.clone()))
        .collect();
    checkpoint.check_against(path, &wanted)
}
