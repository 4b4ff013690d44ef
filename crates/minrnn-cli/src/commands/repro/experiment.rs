//! What an experiment is: a committed file of its rows, the paper's numbers beside them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use toml::{Table, Value};

use crate::args::ReproName;
use crate::config::Config;

/// The text of all experiments that need one, tinyshakespeare as it is published: its bytes, and its sha256. Not in the experiments' files,
/// whose hash says what a folder's results are of.
pub(super) const TEXT: (u64, &str) = (
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
);

/// An experiment as its file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Experiment {
    #[serde(skip)]
    pub(super) name: &'static str,
    pub(super) title: String,
    /// What is to be known beside the table, a paragraph each.
    #[serde(default)]
    pub(super) note: Vec<String>,
    /// Whose numbers stand beside.
    #[serde(default = "paper")]
    pub(super) beside: String,
    /// Whether it needs the text of `--text`.
    #[serde(default)]
    pub(super) text: bool,
    /// Whether it is of the CPU alone.
    #[serde(default)]
    pub(super) cpu_only: bool,
    /// Whether what runs on the CPU and on a GPU are two results, side by side in the table.
    #[serde(default)]
    pub(super) by_device: bool,
    #[serde(default = "one_seed")]
    pub(super) seeds: Vec<u64>,
    /// What an evaluation's curve shows.
    #[serde(default)]
    pub(super) curve: Curve,
    /// What all rows share, as `minrnn train` reads it.
    #[serde(default)]
    config: Table,
    /// What rows have on a GPU besides.
    #[serde(default)]
    cuda: Table,
    /// What the small version changes in every row.
    #[serde(default)]
    pub(super) small: Table,
    /// Where settings come from, by key: the paper's text, its released configuration, or elsewhere.
    #[serde(default)]
    pub(super) origin: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) column: Vec<Column>,
    #[serde(default)]
    pub(super) ratio: Vec<Ratio>,
    #[serde(default)]
    pub(super) plot: Vec<PlotSpec>,
    pub(super) row: Vec<Row>,
}

fn paper() -> String {
    "paper".into()
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Curve {
    #[default]
    Loss,
    Accuracy,
}

/// A figure that the table shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) key: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) digits: usize,
    /// Which is better; left out: neither, and nothing is held to the paper's number.
    pub(super) better: Option<Better>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Better {
    Lower,
    Higher,
}

/// A quotient of two rows' figures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ratio {
    pub(super) title: String,
    pub(super) of: String,
    pub(super) to: String,
    pub(super) key: String,
    pub(super) paper: Option<f64>,
}

/// A picture: curves along training, or figures whose names end in numbers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlotSpec {
    /// The file's name without its ending.
    pub(super) name: String,
    pub(super) x: String,
    pub(super) y: String,
    /// Figures `{prefix}{number}`, the number along x; left out: the curves of the runs.
    pub(super) prefix: Option<String>,
    /// Only rows whose titles, with their device, end so; left out: all.
    pub(super) ends: Option<String>,
    /// Behind the point, in its table.
    #[serde(default)]
    pub(super) digits: usize,
    #[serde(default)]
    pub(super) log_x: bool,
    #[serde(default)]
    pub(super) log_y: bool,
}

/// What a row does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Trains a model for each seed.
    #[default]
    Train,
    /// Streams long sequences through the exported step graph of another row.
    Stream,
    /// Measures a training step for each length.
    Step,
    /// The same by PyTorch, where there is a Python.
    Torch,
    /// Measures the exported model, step by step and behind a context, for each length; by the CPU, whatever trains.
    Infer,
    /// Measures the error of two scans for each length.
    ScanError,
    /// Holds a long stream, step by step, to whole pieces, bit for bit.
    Exact,
}

impl Kind {
    /// Where a run computes what is its result, if others of the call do on `device`.
    pub(super) fn place(self, device: &str) -> &str {
        match self {
            Self::Infer | Self::Stream | Self::ScanError | Self::Exact => "cpu",
            Self::Train | Self::Step | Self::Torch => device,
        }
    }

    /// The name of a case: `s0`, `t512`, `g3`.
    pub(super) fn case(self, case: u64) -> String {
        let letter = match self {
            Self::Train => 's',
            Self::Stream => 'g',
            Self::Step | Self::Torch | Self::Infer | Self::ScanError | Self::Exact => 't',
        };
        format!("{letter}{case}")
    }
}

/// What is measured of a model after its training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum After {
    /// Accuracy on sequences that neither training nor the choice of the checkpoint saw.
    Test,
    /// The same by length.
    Lengths,
    /// Loss on the validation text in one go, the state carried.
    Carried,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) kind: Kind,
    /// The paper's numbers, or those of whom the experiment names, by the keys of columns.
    #[serde(default)]
    pub(super) paper: BTreeMap<String, f64>,
    pub(super) seeds: Option<Vec<u64>>,
    #[serde(default)]
    pub(super) set: Table,
    #[serde(default)]
    pub(super) small: Table,
    #[serde(default)]
    pub(super) after: Vec<After>,
    /// Lengths of cases, and of what is measured by length: each from the one before it.
    #[serde(default)]
    pub(super) lengths: Vec<u64>,
    /// The same of the small version.
    #[serde(default)]
    pub(super) small_lengths: Vec<u64>,
    /// Of a stream: which row's model; how many sequences, and how many of them side by side.
    pub(super) of: Option<String>,
    pub(super) sequences: Option<u64>,
    pub(super) group: Option<u64>,
    /// Of inference: how many sequences side by side, each in its turn.
    #[serde(default)]
    pub(super) batches: Vec<usize>,
    /// Of PyTorch: what computes the steps.
    pub(super) engine: Option<String>,
    /// Longest sequence of the verification, steps.
    pub(super) verify: Option<usize>,
    /// Which part of the text there is, from its beginning.
    pub(super) cut: Option<f64>,
    pub(super) remark: Option<String>,
}

/// All of them: the name and the file.
const ALL: [(ReproName, &str, &str); 8] = [
    (
        ReproName::Shakespeare,
        "shakespeare",
        include_str!("experiments/shakespeare.toml"),
    ),
    (
        ReproName::SelectiveCopying,
        "selective-copying",
        include_str!("experiments/selective-copying.toml"),
    ),
    (
        ReproName::Efficiency,
        "efficiency",
        include_str!("experiments/efficiency.toml"),
    ),
    (
        ReproName::Record,
        "record",
        include_str!("experiments/record.toml"),
    ),
    (
        ReproName::Stability,
        "stability",
        include_str!("experiments/stability.toml"),
    ),
    (
        ReproName::Table2,
        "table2",
        include_str!("experiments/table2.toml"),
    ),
    (
        ReproName::Chomsky,
        "chomsky",
        include_str!("experiments/chomsky.toml"),
    ),
    (
        ReproName::Claims,
        "claims",
        include_str!("experiments/claims.toml"),
    ),
];

/// How a configuration is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) small: bool,
    pub(super) on_gpu: bool,
    pub(super) seed: u64,
    /// The text, of experiments that need one.
    pub(super) text: Option<&'a str>,
    /// The length of the task, of rows that have one for each case.
    pub(super) length: Option<u64>,
}

impl Experiment {
    pub(super) fn of(name: ReproName) -> Result<Self> {
        let all = ALL.iter().find(|(n, ..)| *n == name);
        let (_, name, source) = all.context("an experiment without a file")?;
        let read = toml::from_str(source).map_err(|e| anyhow!("{name}.toml: {e}"));
        Ok(Self { name, ..read? })
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.row.iter().find(|row| row.name == name)
    }

    /// The configuration of a row: what all share, then what GPUs have besides, what the row sets, and what the small version changes.
    pub(super) fn merged(&self, row: &Row, small: bool, on_gpu: bool) -> Table {
        let mut table = self.config.clone();
        let gpu = on_gpu.then_some(&self.cuda);
        let smaller = small.then_some([&self.small, &row.small]);
        let over = gpu.into_iter().chain([&row.set]);
        for over in over.chain(smaller.into_iter().flatten()) {
            merge(&mut table, over);
        }
        table
    }

    /// The configuration of a row ([`Experiment::merged`]), with its seed and what the command gives.
    pub(super) fn config(&self, row: &Row, wish: Wish) -> Result<Config> {
        let mut table = self.merged(row, wish.small, wish.on_gpu);
        let seed = i64::try_from(wish.seed).context("a seed of --seeds is too large")?;
        set(&mut table, "train", "seed", Value::Integer(seed));
        if let Some(text) = wish.text {
            set(&mut table, "task", "path", Value::String(text.to_owned()));
        }
        if let Some(length) = wish.length {
            set(&mut table, "task", "length", Value::Integer(length as i64));
        }
        let text = toml::to_string(&table)?;
        Config::parse(&format!("{}.toml, row {}", self.name, row.name), &text, &[])
    }

    /// Dotted keys of everything that the configurations of its rows set.
    #[cfg(test)]
    pub(super) fn keys(&self) -> std::collections::BTreeSet<String> {
        let mut all = BTreeMap::new();
        let sets = self.row.iter().map(|row| &row.set);
        for table in sets.chain([&self.config, &self.cuda]) {
            leaves("", table, &mut all);
        }
        all.into_keys().collect()
    }
}

/// Values by their dotted keys.
pub(super) fn leaves(prefix: &str, table: &Table, all: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => leaves(&format!("{name}."), inner, all),
            _ => drop(all.insert(name, value.to_string())),
        }
    }
}

/// Puts values over others; of tables key by key.
fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

fn set(base: &mut Table, table: &str, key: &str, value: Value) {
    let inner = Table::from_iter([(key.to_owned(), value)]);
    merge(
        base,
        &Table::from_iter([(table.to_owned(), Value::Table(inner))]),
    );
}
