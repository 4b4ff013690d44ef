//! All figures, as they are written: schema `minrnn.eval/1`.

use minrnn_model::graph::OutputKind;
use minrnn_train::task::{Split, TaskConfig};
use serde::Serialize;

use super::Windows;
use super::classes::{Classes, Macro};
use super::figures::{Figures, Kind};
use super::source::Subject;
use super::values::Values;
use crate::measure::Held;

/// Confusion matrices of more classes are lists.
const MATRIX: usize = 128;

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Report {
    schema: &'static str,
    pub(in crate::commands) model: Model,
    pub(in crate::commands) data: Data,
    /// What figures on these data are not, a line each.
    notes: Vec<String>,
    /// The same figures of each engine and form.
    pub(in crate::commands) figures: Vec<Entry>,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Model {
    /// Folder of the checkpoint or of the export.
    pub(in crate::commands) path: String,
    /// `checkpoint` or `export`.
    kind: &'static str,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Data {
    /// `text`, `sequences`, `selective_copying`.
    pub(in crate::commands) task: &'static str,
    pub(in crate::commands) path: Option<String>,
    /// `train`, `validation`, `test`, or `whole` of a file that was given.
    pub(in crate::commands) split: &'static str,
    pub(in crate::commands) windows: u64,
    /// Windows of the whole part.
    pub(in crate::commands) windows_in_part: u64,
    /// Targets that count.
    pub(in crate::commands) targets: u64,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Entry {
    /// `candle` or `minrnn-runtime`.
    pub(in crate::commands) engine: &'static str,
    /// Of an export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) form: Option<&'static str>,
    pub(in crate::commands) loss: f64,
    /// `nats` or `mean square`.
    pub(in crate::commands) loss_unit: &'static str,
    #[serde(flatten)]
    pub(in crate::commands) kind: Shown,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::commands) enum Shown {
    Classes(OfClasses),
    Values { targets: Vec<Value> },
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct OfClasses {
    pub(in crate::commands) accuracy: f64,
    /// Of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) bits_per_character: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) bits_per_byte: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) perplexity: Option<f64>,
    #[serde(rename = "macro", serialize_with = "mean")]
    pub(in crate::commands) mean: Macro,
    pub(in crate::commands) classes: Vec<Class>,
    pub(in crate::commands) confusion: Confusion,
}

impl OfClasses {
    /// Figures of text alone, by their names.
    pub(in crate::commands) fn of_text(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("bits per character", self.bits_per_character),
            ("bits per byte", self.bits_per_byte),
            ("perplexity", self.perplexity),
        ];
        all.into_iter()
            .filter_map(|(name, figure)| Some((name, figure?)))
    }
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Class {
    pub(in crate::commands) name: String,
    pub(in crate::commands) targets: u64,
    pub(in crate::commands) predicted: u64,
    pub(in crate::commands) precision: f64,
    pub(in crate::commands) recall: f64,
    pub(in crate::commands) f1: f64,
}

/// Rows are targets, columns predictions.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Confusion {
    /// `[C][C]`, of at most 128 classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) matrix: Option<Vec<Vec<u64>>>,
    /// Numbers of the target and of the prediction and how often, of more classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) pairs: Option<Vec<(usize, usize, u64)>>,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Value {
    pub(in crate::commands) name: String,
    pub(in crate::commands) mae: f64,
    pub(in crate::commands) rmse: f64,
    /// None where all targets are equal.
    pub(in crate::commands) r2: Option<f64>,
}

fn mean<S: serde::Serializer>(mean: &Macro, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written {
        classes: usize,
        precision: f64,
        recall: f64,
        f1: f64,
    }
    let Macro {
        classes,
        precision,
        recall,
        f1,
    } = *mean;
    let written = Written {
        classes,
        precision,
        recall,
        f1,
    };
    written.serialize(to)
}

impl Report {
    /// What figures on these data are not, a line each.
    pub(in crate::commands) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn new(
        subject: &Subject,
        held: &Held,
        (split, whole): (Split, bool),
        windows: Windows,
        all: &[(&'static str, Figures)],
        notes: Vec<String>,
    ) -> Self {
        let (path, kind) = match subject {
            Subject::Checkpoint(loaded) => (loaded.path.display(), "checkpoint"),
            Subject::Export(export) => (export.dir().display(), "export"),
        };
        let (task, file) = about(&held.config);
        Self {
            schema: "minrnn.eval/1",
            model: Model {
                path: path.to_string(),
                kind,
            },
            data: Data {
                task,
                path: file,
                split: if whole { "whole" } else { split.name() },
                windows: windows.count,
                windows_in_part: windows.of,
                targets: all.first().map_or(0, |(_, f)| f.count),
            },
            notes,
            figures: all.iter().map(|(name, f)| entry(name, f, held)).collect(),
        }
    }
}

fn about(task: &TaskConfig) -> (&'static str, Option<String>) {
    let path = |path: &std::path::Path| Some(path.display().to_string());
    match task {
        TaskConfig::Text(options) => ("text", path(&options.path)),
        TaskConfig::Sequences(options) => ("sequences", path(&options.path)),
        _ => ("selective_copying", None),
    }
}

fn entry(name: &'static str, figures: &Figures, held: &Held) -> Entry {
    let loss = figures.loss();
    let (engine, form) = match name {
        "candle" => (name, None),
        form => ("minrnn-runtime", Some(form)),
    };
    let kind = match &figures.kind {
        Kind::Classes(classes) => Shown::Classes(of_classes(classes, loss, held)),
        Kind::Values(values) => Shown::Values {
            targets: of_values(values, held),
        },
    };
    Entry {
        engine,
        form,
        loss,
        loss_unit: match held.task.shape().output {
            OutputKind::Logits => "nats",
            OutputKind::Values => "mean square",
        },
        kind,
    }
}

/// What a class or a value is called; its number where nothing names it.
fn name(held: &Held, i: usize) -> String {
    let named = held.task.target_names().and_then(|all| all.get(i)).cloned();
    let word = || held.task.vocabulary()?.name(u32::try_from(i).ok()?);
    named.or_else(word).unwrap_or_else(|| i.to_string())
}

fn of_classes(classes: &Classes, loss: f64, held: &Held) -> OfClasses {
    let is_text = matches!(held.config, TaskConfig::Text(_));
    let bits = |unit: &str| {
        // Where a token is one of them.
        let words = held.task.vocabulary().filter(|w| w.unit() == unit);
        words.map(|_| loss / std::f64::consts::LN_2)
    };
    let class = |(i, s): (usize, super::classes::Score)| Class {
        name: name(held, i),
        targets: s.targets,
        predicted: s.predicted,
        precision: s.precision,
        recall: s.recall,
        f1: s.f1,
    };
    let n = classes.count;
    let row = |t: usize| (0..n).map(|p| classes.pair(t, p)).collect();
    OfClasses {
        accuracy: classes.accuracy(),
        bits_per_character: bits("character"),
        bits_per_byte: bits("byte"),
        perplexity: is_text.then(|| loss.exp()),
        mean: classes.mean(),
        classes: classes.scores().enumerate().map(class).collect(),
        confusion: Confusion {
            matrix: (n <= MATRIX).then(|| (0..n).map(row).collect()),
            pairs: (n > MATRIX).then(|| classes.pairs().collect()),
        },
    }
}

/// What to know of targets that float32 can hardly hold, a line each: errors of 0 say little there.
pub(super) fn remarks(figures: &Figures, held: &Held) -> Vec<String> {
    let Kind::Values(values) = &figures.kind else {
        return vec![];
    };
    let called = |i| format!("the target {}", name(held, i));
    let statistics = values.statistics();
    statistics.remarks_on("what is measured", called)
}

fn of_values(values: &Values, held: &Held) -> Vec<Value> {
    let value = |(i, s): (usize, super::values::Score)| Value {
        name: name(held, i),
        mae: s.mae,
        rmse: s.rmse,
        r2: s.r2,
    };
    values.scores().enumerate().map(value).collect()
}
