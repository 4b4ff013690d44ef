//! The data that a model is measured on, with tokens, features and classes as its checkpoint numbers them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_model::vocabulary::Vocabulary;
use minrnn_train::TrainError;
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::checkpoint::model_config;
use minrnn_train::task::{Task, TaskConfig};
use minrnn_train::trainer::open_data;
use serde_json::{Value as Json, json};

use crate::config::{Config, set_keys};
use crate::memory;

/// Where the data come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// What the checkpoint says that it was trained on.
    Own,
    /// The task of a training configuration.
    Config(&'a Path),
    /// A file in the place of that which the checkpoint was trained on; all of it is the test part.
    File(&'a Path),
}

/// What asks for data: its flag, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Where<'a> {
    pub(crate) flag: &'a str,
    pub(crate) source: Source<'a>,
    pub(crate) sets: &'a [String],
    /// What the tokens were of the checkpoint whose data they are, where that is no other's configuration.
    pub(crate) carried: Option<&'a Vocabulary>,
}

/// Data with what is to be said of them.
pub(crate) struct Held {
    pub(crate) task: Box<dyn Task>,
    pub(crate) config: TaskConfig,
    /// Whether a file was given, all of which is the test part.
    pub(crate) whole: bool,
    /// What figures on them are not, a line each.
    pub(crate) notes: Vec<String>,
}

/// Opens the data as the model of a checkpoint takes them; only configuration and vocabulary of the checkpoint are looked at. `at` is its
/// folder, for messages.
///
/// # Errors
/// Data that mean something else than those of the checkpoint; those of the files.
pub(crate) fn open(wanted: &Where, checkpoint: &Checkpoint, at: &Path) -> Result<Held> {
    let Where {
        flag,
        source,
        sets,
        carried,
    } = *wanted;
    let model = model_config(checkpoint, at)?;
    let mut config = match source {
        Source::Config(path) => Config::read_for(path, sets, Some(&model))?,
        Source::Own | Source::File(_) => own_config(checkpoint, at, sets, flag)?,
    };
    if !matches!(source, Source::Config(_)) {
        config.train.model = model;
    }
    if let (Source::Own | Source::File(_), Some(carried)) = (source, carried)
        && !set_keys(sets).iter().any(|key| key == "task.tokenizer")
    {
        config.train.task = config.train.task.carrying(carried)?;
    }
    if let Source::File(path) = source {
        config.train.task = whole(config.train.task, path, flag)?;
    }
    config.train.train.memory = memory::available();
    let (task, notes) =
        open_data(&config.train, checkpoint, at).map_err(|error| match (error, source) {
            (error @ TrainError::Differs { .. }, _) => config.explain(error),
            (error, Source::Own) => {
                let key = file_of(&config.train.task, &error);
                config.explain(error).context(format!("the data that the checkpoint was trained on cannot be read; --set '{key}=\"FILE\"' says where they are now"))
            }
            (error, Source::File(_)) => anyhow::Error::new(error).context(format!("the data of {flag} cannot be read as those that the checkpoint was trained on")),
            (error, Source::Config(_)) => config.explain(error).context(format!("the data of {flag} cannot be read")),
        })?;
    Ok(Held {
        task,
        config: config.train.task,
        whole: matches!(source, Source::File(_)),
        notes,
    })
}

/// The key of the file that an error is about.
fn file_of(task: &TaskConfig, error: &TrainError) -> &'static str {
    let (TrainError::Io { path, .. } | TrainError::Data { path, .. }) = error else {
        return "task.path";
    };
    let is = |file: &Option<PathBuf>| file.as_ref() == Some(path);
    match task {
        TaskConfig::Text(options) if is(&options.tokenizer) => "task.tokenizer",
        TaskConfig::Sequences(options) if is(&options.labels_path) => "task.labels_path",
        TaskConfig::Sequences(options) if is(&options.lengths_path) => "task.lengths_path",
        _ => "task.path",
    }
}

/// The task with another file, all of which is to be measured.
fn whole(task: TaskConfig, path: &Path, flag: &str) -> Result<TaskConfig> {
    let mut task = task;
    match &mut task {
        TaskConfig::Text(options) => options.path = path.to_path_buf(),
        TaskConfig::Sequences(options) => options.path = path.to_path_buf(),
        _ => bail!(
            "{flag} {}: the task makes its samples itself and reads no file; leave {flag} out, or give a training configuration, CONFIG.toml",
            path.display()
        ),
    }
    Ok(task.whole())
}

/// A checkpoint of which only the configuration and the vocabulary are known: what the files of an export say of themselves.
pub(crate) fn checkpoint_of(config: Json, vocabulary: Option<&Vocabulary>) -> Checkpoint {
    Checkpoint {
        config,
        params: Default::default(),
        optimizer: None,
        trainer: None,
        raw: None,
        states: None,
        vocabulary: vocabulary.cloned(),
    }
}

/// The task of the run that made the checkpoint.
fn own_config(checkpoint: &Checkpoint, at: &Path, sets: &[String], flag: &str) -> Result<Config> {
    let (path, json): (PathBuf, _) = (at.join("config.json"), &checkpoint.config);
    let known = |key: &str| json.get(key).filter(|v| v.is_object());
    let (Some(task), Some(train)) = (known("task"), known("train")) else {
        bail!(
            "{} says nothing of a task, so there is no data to measure with; give a training configuration: {flag} CONFIG.toml",
            path.display()
        );
    };
    // The model is the checkpoint's, whatever it is.
    let model = json!({ "width": 1, "layers": 1 });
    let config = json!({ "task": given(task), "model": model, "train": given(train) });
    let text = toml::to_string(&config)
        .with_context(|| format!("{} holds no training configuration", path.display()))?;
    Config::parse(&path.display().to_string(), &text, sets)
}

/// Without what is null: TOML leaves it out.
fn given(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let some = map.iter().filter(|(_, v)| !v.is_null());
            Json::Object(some.map(|(k, v)| (k.clone(), given(v))).collect())
        }
        other => other.clone(),
    }
}
