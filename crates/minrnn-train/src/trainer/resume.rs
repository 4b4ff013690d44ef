//! Runs that begin from a checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use minrnn_model::model::Model;
use minrnn_model::params::Params;

use super::backend::Device;
use super::changes::Changed;
use super::config::{TrainConfig, check_values};
use super::engine;
use super::origin::{Opened, Origin, Purpose};
use super::{Trainer, TrainerState};
use crate::checkpoint::{Checkpoint, TensorData, params_of};
use crate::error::{CheckpointProblem, Result, TrainError};
use crate::optim::OptimizerState;
use crate::task::Task;

/// How a run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResumeOptions {
    /// Whether the data may be others than those of the checkpoint. Vocabulary and statistics stay the checkpoint's.
    pub new_data: bool,
}

impl Trainer {
    /// Goes on where a checkpoint of [`Trainer::checkpoint`] stopped: bit for bit where the configuration is the same.
    /// What a model means must be the same: everything in `model` but dropout, the kind of the task, vocabulary, names and
    /// order of features and targets, seed, and data. Everything else may change; [`Trainer::notes`] says what it does.
    /// Statistics of the data are the checkpoint's. `path` is for messages.
    ///
    /// # Errors
    /// [`TrainError::Differs`] with everything that differs in meaning; [`TrainError::Checkpoint`] for a checkpoint
    /// without the state of a training, or with states that contradict each other; the errors of [`Trainer::new`].
    pub fn resume(
        config: &TrainConfig,
        checkpoint: &Checkpoint,
        path: &Path,
        device: &Device,
        options: ResumeOptions,
    ) -> Result<Self> {
        config.validate()?;
        let (optimizer, state) = states(checkpoint, path)?;
        let origin = Origin::of(checkpoint, path)?;
        let ResumeOptions { new_data } = options;
        let opened = origin.open(config, Purpose::Resume { new_data })?;
        if state.seed != config.train.seed {
            let message = format!(
                "is {}, the checkpoint was trained with {}",
                config.train.seed, state.seed
            );
            return Err(TrainError::config("train.seed", message));
        }
        if new_data {
            origin.refuse_same(&opened.data)?;
        }
        if state.step > config.train.steps {
            let message = format!(
                "is {}, and the checkpoint is at step {}: there is nothing to do; raise it above {} to go on",
                config.train.steps, state.step, state.step
            );
            return Err(TrainError::config("train.steps", message));
        }
        refuse_other_optimizer(&origin, config)?;
        let model = Model::from_config(&opened.model)?;
        let chosen = engine::choose(&config.train, model.graph(), device)?;
        let changed = Changed {
            origin: &origin,
            state,
            config,
            opened: &opened,
            device: chosen.place,
            new_data,
        };
        let notes = changed.notes();
        let same_data = origin.same_data(&opened.data);
        let kept = match changed.keeps_best() {
            true => (state.best.clone(), state.evals_since_best, state.reached),
            false => (None, 0, None),
        };
        // Of an average alone no training goes on.
        let averaged = origin.train.as_ref().is_some_and(|t| t.average.is_some());
        if averaged && checkpoint.raw.is_none() {
            let message = "is missing: config.json says that the weights of model.safetensors are an average (train.average), and the weights that the optimizer goes on with are in that file; begin a new run with the average (`minrnn train --from`)".to_owned();
            let problem = CheckpointProblem::Malformed { message };
            return Err(TrainError::checkpoint(
                &path.join("training.safetensors"),
                problem,
            ));
        }
        let average = params_of(checkpoint, &model, path)?;
        // The optimizer goes on with the weights, not with their average.
        let params = match &checkpoint.raw {
            Some(raw) => named_params(raw, &model)?,
            None => average.clone(),
        };
        let mut trainer = Self::from_opened(config, opened, &params, device)?;
        if config.train.average.is_some() {
            trainer.backend.set_average(&average)?;
        }
        trainer.backend.load_state_dict(optimizer)?;
        trainer.restore_loss_scale(state.loss_scale.as_ref())?;
        let (streams, loss_scale) = (trainer.state.streams, trainer.state.loss_scale);
        trainer.state = TrainerState {
            streams,
            loss_scale,
            schedule: config.train.schedule(),
            best: kept.0,
            evals_since_best: kept.1,
            reached: kept.2,
            average_since: averages_since(config, checkpoint, state),
            evaluation_due: state.evaluation_due && trainer.has_validation(),
            ..state.clone()
        };
        trainer.notes.extend(notes);
        let carried = trainer.resume_streams(checkpoint, state, same_data, path)?;
        trainer.notes.extend(carried);
        Ok(trainer)
    }

    /// A new run, step 0, a new optimizer, that begins with the weights, the vocabulary and the statistics of a checkpoint,
    /// which may be an imported one. The data may be others. `path` is for messages.
    ///
    /// # Errors
    /// [`TrainError::Differs`] where the model or the meaning of inputs and outputs is another; the errors of [`Trainer::new`].
    pub fn from_weights(
        config: &TrainConfig,
        checkpoint: &Checkpoint,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        let mut opened = Origin::of(checkpoint, path)?.open(config, Purpose::Begin)?;
        let notes = std::mem::take(&mut opened.unknown);
        let model = Model::from_config(&opened.model)?;
        let params = params_of(checkpoint, &model, path)?;
        let mut trainer = Self::from_opened(config, opened, &params, device)?;
        trainer.notes.extend(notes);
        Ok(trainer)
    }

    /// A new run with these weights.
    fn from_opened(
        config: &TrainConfig,
        opened: Opened,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        let model = Model::from_config(&opened.model)?;
        let config = TrainConfig {
            model: opened.model,
            ..config.clone()
        };
        Self::with_params(config, model, opened.task, opened.data, params, device)
    }
}

/// The task of a configuration as the model of a checkpoint takes it, to measure or to calibrate with: tokens and classes
/// have the checkpoint's numbers. The data may be others, which is in the notes beside it, as is what could not be compared. Only
/// configuration and vocabulary of the checkpoint are looked at; `path` is for messages.
///
/// # Errors
/// [`TrainError::Differs`] where model, kind of the task, vocabulary, or names of features and targets are others; the errors
/// of the task's files.
pub fn open_data(
    config: &TrainConfig,
    checkpoint: &Checkpoint,
    path: &Path,
) -> Result<(Box<dyn Task>, Vec<String>)> {
    let origin = Origin::of(checkpoint, path)?;
    let mut opened = origin.open(config, Purpose::Evaluate)?;
    check_values(&opened.model, &*opened.task)?;
    let mut notes: Vec<String> = origin.other_data(&opened.data).into_iter().collect();
    notes.append(&mut opened.unknown);
    Ok((opened.task, notes))
}

/// What one optimizer remembers is of no use to another.
fn refuse_other_optimizer(origin: &Origin, config: &TrainConfig) -> Result<()> {
    let old = origin.train.as_ref().map(|train| train.optimizer.name());
    let new = config.train.optimizer.name();
    match old.filter(|old| *old != new) {
        Some(old) => Err(TrainError::config(
            "train.optimizer",
            format!(
                "is {new}, and the checkpoint was trained with {old}, which remembers other things of each weight: go on with {old}, or begin a new run with the weights (`minrnn train --from`)"
            ),
        )),
        None => Ok(()),
    }
}

/// When the average of a run that goes on began: here, where the checkpoint has none.
fn averages_since(config: &TrainConfig, checkpoint: &Checkpoint, state: &TrainerState) -> u64 {
    match (&config.train.average, &checkpoint.raw) {
        (None, _) => 0,
        (Some(_), Some(_)) => state.average_since,
        (Some(_), None) => state.step,
    }
}

/// Parameters by name in a model's order.
fn named_params(named: &BTreeMap<String, TensorData>, model: &Model) -> Result<Params> {
    let named = named.iter();
    let named = named.map(|(n, t)| (n.clone(), (t.shape.clone(), t.data.clone())));
    Ok(Params::from_named(model.graph(), named.collect())?)
}

/// The states that a run needs to go on.
fn states<'c>(
    checkpoint: &'c Checkpoint,
    path: &Path,
) -> Result<(&'c OptimizerState, &'c TrainerState)> {
    let missing = |file: &str| {
        TrainError::checkpoint(path, CheckpointProblem::MissingFile { file: file.into() })
    };
    let optimizer = checkpoint.optimizer.as_ref();
    let optimizer = optimizer.ok_or_else(|| missing("optimizer.safetensors"))?;
    let state = checkpoint.trainer.as_ref();
    let state = state.ok_or_else(|| missing("trainer_state.json"))?;
    match state.contradiction(Some(optimizer)) {
        Some(message) => Err(TrainError::checkpoint(
            path,
            CheckpointProblem::Malformed { message },
        )),
        None => Ok((optimizer, state)),
    }
}
