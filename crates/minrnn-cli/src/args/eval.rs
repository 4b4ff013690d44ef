//! `minrnn eval`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Measure a model on data.
///
/// Loss, accuracy, precision, recall and F1 by class, the confusion matrix; MAE and RMSE of values, in their units; bits per character and perplexity of text.
/// DIR is a checkpoint, a run (then its `best`), which candle runs, or an export, of which minrnn-runtime runs every form that takes the windows.
/// By default the part that `task.test_fraction` keeps for this: neither training nor the choice of `best` has seen it.
/// Where precision, recall or F1 is 0/0 it counts as 0; their macro averages are over the classes that have a target or were predicted
/// (both as in scikit-learn). Each window begins with the model's initial state, as in training. docs/eval.md says more.
#[derive(Debug, clap::Args)]
pub(crate) struct Eval {
    /// Folder of a checkpoint, of a run (then its `best`) or of an export
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The data: a training configuration (CONFIG.toml, then its task); the folder of a run or a checkpoint (then those that it was trained on); or a file as DIR was trained on, which is
    /// measured whole [default: those that DIR was trained on, which an export does not know]
    #[arg(long, value_name = "CONFIG.toml|RUN|FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Replaces a value of the configuration of the data, e.g. --set 'task.path="a.txt"'; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Which part of the data
    #[arg(long, value_name = "PART", default_value = "test")]
    pub(crate) split: Part,
    /// Windows to measure, from the first on [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) samples: Option<u64>,
    /// Of an export: run this form only [default: every form that takes the windows]
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<super::RunForm>,
    /// Write the figures as JSON, schema minrnn.eval/1; - for stdout, in place of the tables
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Bytes that a file of an export may ask for in a call of 8 rows times steps, beyond 8 for each byte of the file; K, M and G are known [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = super::numbers::memory)]
    pub(crate) memory: Option<u64>,
}

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Train,
    Validation,
    Test,
}
