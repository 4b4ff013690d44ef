//! The file of a training run, with values replaced by `--set`, and with places for messages.

pub(crate) mod keys;
mod sets;
mod source;
#[cfg(test)]
mod tests;
mod twice;

use std::path::Path;

use anyhow::Result;
use minrnn_model::ModelError;
use minrnn_model::config::ModelConfig;
use minrnn_train::TrainError;
use minrnn_train::task::{
    FormalOptions, SelectiveCopyingOptions, SequencesOptions, TaskConfig, TextOptions,
};
use minrnn_train::trainer::TrainConfig;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::files;
pub(crate) use sets::set_keys;
use source::{Fault, Source};

/// No configuration is longer, bytes; names of many features fit.
const MOST: u64 = 4 << 20;

/// What to do about a run that needs too much memory.
const SMALLER: &str = "; a smaller model, fewer or shorter sequences in a batch need less, and --force begins nonetheless";

/// A configuration and where each of its keys stands.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) train: TrainConfig,
    source: Source,
    /// Dotted key and the place where it begins.
    keys: Vec<(String, usize)>,
}

impl Config {
    /// Reads a file and replaces values. The model may be that of a checkpoint: [model] may be left out then, or say its dropout only.
    pub(crate) fn read_for(
        path: &Path,
        sets: &[String],
        model: Option<&ModelConfig>,
    ) -> Result<Self> {
        let text = files::read_text(path, MOST)?;
        Self::parse_for(&path.display().to_string(), &text, sets, model)
    }

    /// The same from the text of a file, whole.
    pub(crate) fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self> {
        Self::parse_for(file, text, sets, None)
    }

    fn parse_for(
        file: &str,
        text: &str,
        sets: &[String],
        model: Option<&ModelConfig>,
    ) -> Result<Self> {
        let source = Source::new(file, text, sets);
        let table = merged(&source).map_err(|fault| source.error(&fault))?;
        let mut keys = vec![];
        flatten("", &table, &mut keys);
        let train = train_config(table, model).map_err(|fault| source.error(&fault))?;
        Ok(Self {
            train,
            source,
            keys,
        })
    }

    /// An error of what the configuration describes, with the line of the key where there is one.
    pub(crate) fn explain(&self, error: TrainError) -> anyhow::Error {
        let field = match &error {
            TrainError::Config { field, .. } => Some(field.as_str()),
            TrainError::Model(ModelError::Config { key, .. }) => Some(key.as_str()),
            TrainError::Memory { needs, .. } if needs.is_weights() => Some("model.width"),
            TrainError::Memory { .. } => Some("train.batch"),
            TrainError::Data { .. } => return anyhow::Error::new(error),
            TrainError::Io { .. } => {
                return anyhow::Error::new(error).context("cannot open the data of the task; relative paths are relative to the current folder");
            }
            _ => None,
        };
        // The schedule has its own name for the number of steps.
        let field = if field == Some("total_steps") {
            Some("train.steps")
        } else {
            field
        };
        match field.and_then(|f| self.place(f)) {
            Some(at) => {
                let mut message = error.to_string().replace("`total_steps`", "`train.steps`");
                if matches!(error, TrainError::Memory { .. }) {
                    message.push_str(SMALLER);
                }
                self.source.error(&Fault {
                    message,
                    at: Some(at),
                })
            }
            None => anyhow::Error::new(error).context(self.source.file.clone()),
        }
    }

    /// Where the only key that ends with `field` stands.
    fn place(&self, field: &str) -> Option<usize> {
        let fits = |key: &str| {
            key.strip_suffix(field)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let mut all = self.keys.iter().filter(|(key, _)| fits(key));
        match (all.next(), all.next()) {
            (Some((_, at)), None) => Some(*at),
            _ => None,
        }
    }
}

/// The document with all `--set` in it.
fn merged(source: &Source) -> Result<DeTable<'_>, Fault> {
    let parse = |(offset, text)| -> Result<DeTable<'_>, Fault> {
        let table = DeTable::parse(text).map_err(|e| Fault::from(e).moved(offset))?;
        Ok(moved_table(table.into_inner(), offset))
    };
    let mut parts = source.parts().map(parse);
    let mut table = parts.next().unwrap_or_else(|| Ok(DeTable::new()))?;
    let mut before = vec![];
    for ((offset, text), part) in source.parts().skip(1).zip(parts) {
        let part = part?;
        if sets_nothing(text, &part) {
            return Err(Fault::at("sets nothing".into(), offset));
        }
        twice::check(text, &mut before).map_err(|what| Fault::at(what, offset))?;
        merge(&mut table, part);
    }
    Ok(table)
}

/// Whether a `--set` has no key with a value: a header of a table, a comment, nothing at all.
fn sets_nothing(text: &str, table: &DeTable) -> bool {
    fn empty(value: &DeValue) -> bool {
        matches!(value, DeValue::Table(inner) if inner.iter().all(|(_, v)| empty(v.get_ref())))
    }
    let header = text.trim_start().starts_with('[');
    table.is_empty() || header && table.iter().all(|(_, v)| empty(v.get_ref()))
}

fn merge<'a>(base: &mut DeTable<'a>, over: DeTable<'a>) {
    for (key, value) in over {
        let Some((old_key, old)) = base.remove_entry(&key) else {
            base.insert(key, value);
            continue;
        };
        let span = old.span();
        match (old.into_inner(), value) {
            (DeValue::Table(mut old), value) if value.get_ref().is_table() => {
                if let DeValue::Table(new) = value.into_inner() {
                    merge(&mut old, new);
                }
                base.insert(old_key, Spanned::new(span, DeValue::Table(old)));
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// A table whose places are counted from elsewhere.
fn moved_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let key = |k: Spanned<_>| Spanned::new(k.span().start + by..k.span().end + by, k.into_inner());
    table
        .into_iter()
        .map(|(k, v)| (key(k), moved(v, by)))
        .collect()
}

fn moved(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span().start + by..value.span().end + by;
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|v| moved(v, by)).collect()),
        plain => plain,
    };
    Spanned::new(span, inner)
}

fn flatten(prefix: &str, table: &DeTable, keys: &mut Vec<(String, usize)>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        keys.push((name.clone(), key.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&format!("{name}."), inner, keys);
        }
    }
}

/// The tables one by one, so that every error keeps its place: a tagged enum alone would lose it.
fn train_config(
    mut table: DeTable,
    checkpoint: Option<&ModelConfig>,
) -> Result<TrainConfig, Fault> {
    let known = ["task", "model", "train"];
    if let Some((key, _)) = table
        .iter()
        .find(|(key, _)| !known.contains(&&**key.get_ref()))
    {
        let message = format!(
            "unknown table or key `{}`, expected [task], [model] and [train]",
            key.get_ref()
        );
        return Err(Fault::at(message, key.span().start));
    }
    let [task, model, train] = known.map(|name| take(&mut table, name));
    Ok(TrainConfig {
        task: task_config(task?)?,
        model: match checkpoint {
            Some(checkpoint) => model_over(model.ok(), checkpoint)?,
            None => read(model?)?,
        },
        train: read(train?)?,
    })
}

/// The whole table [model] as it is written; or the model of a checkpoint, where the table is absent or says the dropout only.
fn model_over(
    model: Option<Spanned<DeValue>>,
    checkpoint: &ModelConfig,
) -> Result<ModelConfig, Fault> {
    #[derive(serde::Deserialize)]
    struct Only {
        dropout: f64,
    }
    let only_dropout = |model: &Spanned<DeValue>| match model.get_ref() {
        DeValue::Table(table) => {
            table.len() == 1 && table.keys().all(|key| key.get_ref() == "dropout")
        }
        _ => false,
    };
    match model {
        None => Ok(checkpoint.clone()),
        Some(model) if only_dropout(&model) => Ok(ModelConfig {
            dropout: read::<Only>(model)?.dropout,
            ..checkpoint.clone()
        }),
        Some(model) => read(model),
    }
}

fn take<'a>(table: &mut DeTable<'a>, name: &str) -> Result<Spanned<DeValue<'a>>, Fault> {
    table.remove(name).ok_or_else(|| Fault {
        message: format!("the table [{name}] is missing"),
        at: None,
    })
}

fn task_config(task: Spanned<DeValue>) -> Result<TaskConfig, Fault> {
    let span = task.span();
    let kind = task.get_ref().get("kind").map(|kind| {
        (
            kind.get_ref().as_str().unwrap_or("").to_owned(),
            kind.span(),
        )
    });
    let mut inner = task.into_inner();
    if let DeValue::Table(table) = &mut inner {
        table.remove("kind");
    }
    let rest = Spanned::new(span.clone(), inner);
    match kind.as_ref().map(|(kind, _)| kind.as_str()) {
        Some("selective_copying") => {
            read::<SelectiveCopyingOptions>(rest).map(TaskConfig::SelectiveCopying)
        }
        Some("text") => read::<TextOptions>(rest).map(TaskConfig::Text),
        Some("sequences") => read::<SequencesOptions>(rest).map(TaskConfig::Sequences),
        Some("formal_language") => read::<FormalOptions>(rest).map(TaskConfig::FormalLanguage),
        _ => {
            let known =
                "expected \"selective_copying\", \"text\", \"sequences\" or \"formal_language\"";
            match kind {
                Some((kind, at)) => Err(Fault::at(
                    format!("unknown kind of task {kind:?}, {known}"),
                    at.start,
                )),
                None => Err(Fault::at(
                    format!("the task has no `kind`, {known}"),
                    span.start,
                )),
            }
        }
    }
}

fn read<T: DeserializeOwned>(value: Spanned<DeValue>) -> Result<T, Fault> {
    T::deserialize(ValueDeserializer::from(value)).map_err(Fault::from)
}
