//! The checkpoint that a run goes on from, or that data is measured with: what it means, held against a configuration.

mod data;
mod model;
mod vocabulary;

use std::path::Path;

use minrnn_model::config::ModelConfig;
use minrnn_model::graph::OutputKind;
use minrnn_model::vocabulary::Vocabulary;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::config::{TrainConfig, TrainOptions};
use super::differences::{Change, Differences, changes};
use super::record::Record;
use crate::checkpoint::{Checkpoint, model_config};
use crate::data::LabelKind;
use crate::error::{Result, TrainError};
use crate::task::{DataDigest, Task, TaskConfig};

/// What a checkpoint is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The run goes on: model and data stay, or the data may be others.
    Resume { new_data: bool },
    /// A new run begins from its weights.
    Begin,
    /// It is measured, or calibrated, on data.
    Evaluate,
}

/// What a configuration and a checkpoint differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differs {
    /// The content of the data alone.
    Data,
    /// Characters that the model does not know.
    Tokens,
    /// What the model means.
    Meaning,
}

impl Differs {
    fn of(found: &Differences, same_tokens: bool) -> Self {
        let data = |what: &str| what == "vocabulary" || what == "data";
        match found.all.iter().all(|d| data(&d.what)) {
            false => Self::Meaning,
            true if same_tokens => Self::Data,
            true => Self::Tokens,
        }
    }
}

impl Purpose {
    /// What to do where the configuration does not belong to the checkpoint.
    fn mend(self, differs: Differs) -> &'static str {
        match self {
            Self::Resume { new_data: true } if differs == Differs::Tokens => {
                "the model has no other tokens, whatever the data: give text of its characters, or begin a new run in another folder"
            }
            Self::Resume { .. } if differs == Differs::Tokens => {
                "give the data that it was trained on, or, with --new-data, others of its characters: the model has no other tokens"
            }
            Self::Resume { .. } if differs == Differs::Data => {
                "give the data that it was trained on; --new-data goes on with others"
            }
            Self::Resume { .. } => {
                "what a model means does not change on the way: change the configuration back, or begin a new run in another folder"
            }
            Self::Begin => {
                "the weights have this meaning only: leave [model] out, or write it as it is in the checkpoint, and give data of its kind"
            }
            Self::Evaluate => {
                "figures would be of another model: give the configuration that the checkpoint was trained with"
            }
        }
    }
}

/// What a checkpoint says about itself.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    path: &'a Path,
    model: ModelConfig,
    /// Options of its training, where they are known.
    pub(super) train: Option<TrainOptions>,
    /// Its task as JSON, where it is known.
    task: Option<Json>,
    pub(super) record: Record,
    vocabulary: Option<&'a Vocabulary>,
}

/// A configuration that belongs to a checkpoint.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) task: Box<dyn Task>,
    pub(super) data: Option<DataDigest>,
    /// Complete; statistics are those of the checkpoint.
    pub(super) model: ModelConfig,
    /// Keys of the task that changed and do not belong to its meaning.
    pub(super) task_changes: Vec<Change>,
    /// Dropout before and now, if it changed.
    pub(super) dropout: Option<Change>,
    /// What of its meaning could not be compared.
    pub(super) unknown: Vec<String>,
}

impl<'a> Origin<'a> {
    pub(super) fn of(checkpoint: &'a Checkpoint, path: &'a Path) -> Result<Self> {
        let part = |key: &str| checkpoint.config.get(key).cloned();
        let task = part("task");
        // Written again, so that defaults and older names of keys are no differences.
        let again = task.clone().and_then(parsed::<TaskConfig>);
        Ok(Self {
            path,
            model: model_config(checkpoint, path)?,
            train: part("train").and_then(parsed),
            task: again.map(|task| json(&task)).or(task),
            record: part("run").and_then(parsed).unwrap_or_default(),
            vocabulary: checkpoint.vocabulary.as_ref(),
        })
    }

    /// Opens the task of a configuration with the checkpoint's vocabulary, and holds it and the model against the checkpoint.
    pub(super) fn open(&self, config: &TrainConfig, purpose: Purpose) -> Result<Opened> {
        let mut found = Differences::default();
        self.compare_kind(config, purpose, &mut found);
        self.compare_seed(config, purpose, &mut found);
        let mut task = self.open_task(config)?;
        let data = task.digest();
        let same_tokens = self.adopt_vocabulary(&mut *task, &data, purpose, &mut found)?;
        let model = self.compare_model(config, &*task, same_tokens, &mut found)?;
        let task_changes = self.task_changes(config);
        self.compare_data(&data, purpose, &task_changes, &mut found);
        if !found.all.is_empty() {
            return Err(TrainError::Differs {
                path: self.path.to_path_buf(),
                mend: purpose.mend(Differs::of(&found, same_tokens)),
                differences: found.all,
            });
        }
        // Known to be the same, data need no names.
        let unknown = match self.same_data(&data) {
            true => vec![],
            false => found.unknown,
        };
        let dropout = changes(
            "model.dropout",
            Some(&self.model.dropout.into()),
            Some(&model.dropout.into()),
        );
        Ok(Opened {
            task,
            data,
            model,
            task_changes,
            dropout: dropout.into_iter().next(),
            unknown,
        })
    }

    /// A run of weights may learn another task; a run that goes on, and its figures, are of one.
    fn compare_kind(&self, config: &TrainConfig, purpose: Purpose, found: &mut Differences) {
        let new = json(&config.task);
        let kind = |task: &Json| task.get("kind").cloned();
        let old = self.task.as_ref().and_then(kind);
        if purpose != Purpose::Begin && old.is_some() && old != kind(&new) {
            different(
                &Change {
                    key: "task.kind".into(),
                    old,
                    new: kind(&new),
                },
                found,
            );
        }
    }

    /// The seed decides the order of the data and the dropout of the whole run.
    fn compare_seed(&self, config: &TrainConfig, purpose: Purpose, found: &mut Differences) {
        let old = self.train.as_ref().map(|train| train.seed);
        if let (Purpose::Resume { .. }, Some(old)) = (purpose, old)
            && old != config.train.seed
        {
            different(
                &Change {
                    key: "train.seed".into(),
                    old: Some(old.into()),
                    new: Some(config.train.seed.into()),
                },
                found,
            );
        }
    }

    /// Whether the checkpoint's own task gave names to classes that are numbers in its data.
    fn named_by_its_task(&self) -> bool {
        let task = self.task.as_ref();
        let names = task.and_then(|task| task.get("class_names")?.as_array());
        names.is_some_and(|names| !names.is_empty())
    }

    /// The task, with the classes of the checkpoint where the configuration says none: data may lack some of them.
    fn open_task(&self, config: &TrainConfig) -> Result<Box<dyn Task>> {
        let (seed, memory) = (config.train.seed, config.train.memory);
        if let TaskConfig::Sequences(options) = &config.task
            && options.target == LabelKind::Classes
            && self.model.head.kind == OutputKind::Logits
        {
            let mut options = options.clone();
            match &self.model.head.names {
                Some(names) if options.class_names.is_empty() => {
                    options.class_names.clone_from(names);
                    options.labels_were_names = !self.named_by_its_task();
                }
                None if options.classes.is_none() => options.classes = self.model.head.width,
                _ => {}
            }
            // What does not fit is told with all the rest.
            if let Ok(task) = TaskConfig::Sequences(options).open_within(seed, memory) {
                return Ok(task);
            }
        }
        config.task.open_within(seed, memory)
    }
}

fn different(change: &Change, found: &mut Differences) {
    let (old, new) = (
        Change::shown(change.old.as_ref()),
        Change::shown(change.new.as_ref()),
    );
    found.push(
        change.key.clone(),
        format!("{old} in the checkpoint, {new} in the configuration"),
    );
}

fn parsed<T: DeserializeOwned>(json: Json) -> Option<T> {
    serde_json::from_value(json).ok()
}

fn json(value: &impl serde::Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}
