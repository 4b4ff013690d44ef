//! `minrnn repro`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::device::{Device, device};

/// An experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReproName {
    /// Language model on tinyshakespeare (the paper's Figure 2)
    Shakespeare,
    /// Selective copying at T = 4096, and far longer than trained (Table 2)
    SelectiveCopying,
    /// Time and memory of a training step against T (Figure 1), on a GPU and on the CPU; time of inference (appendix D.2)
    Efficiency,
    /// The least loss on tinyshakespeare with at most 10.7 M parameters
    Record,
    /// Selective copying with one and two layers (Table 1)
    Stability,
    /// Selective copying by other mixers and blocks (the rest of Table 2)
    Table2,
    /// Formal languages, longer than trained (the paper's appendix D)
    Chomsky,
    /// Claims of this program: errors against T, a million steps exactly
    Claims,
}

/// Run an experiment of "Were RNNs All We Needed?" (arXiv 2410.01201), the paper's numbers beside.
///
/// DIR gets `results.json` and `results.csv`, `table.md`, plots as SVG, `times.json` (everything that is measured by a clock, apart), and in `exports/` the models whose files have at most 16 MiB.
/// Runs are a queue, each whole before the next; the time of a step is measured first, and an estimate is said. Every model that is trained is exported and verified in the same call, and the table has the verdict.
/// With --budget a call ends in time and leaves a run that goes on in `state/`, in parts of at most 16 MiB; the same command goes on from there, on another machine too.
/// Exit code 1 if a verification does not hold, or a run failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Repro {
    /// Which one
    #[arg(value_name = "NAME")]
    pub(crate) name: ReproName,
    /// Seconds after which no run is begun and the one that goes on is saved; exporting and verifying what is trained may take longer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) budget: Option<f64>,
    /// Seeds of every row that is trained, in the place of those of the experiment
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    pub(crate) seeds: Vec<u64>,
    /// Only this row; may be repeated
    #[arg(long, value_name = "ROW")]
    pub(crate) only: Vec<String>,
    /// Where to compute: cpu, or cuda, cuda:N (a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// A version of about a minute on two cores, to see how it works; its figures say nothing of the paper
    #[arg(long)]
    pub(crate) small: bool,
    /// The tinyshakespeare text (shakespeare and record) [default: the file that the environment variable MINRNN_TEXT names]; nothing is downloaded
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Measure PyTorch too, with this Python (efficiency): cuDNN, GRUCell and LSTMCell step by step, the scan in log space, mamba_ssm
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Folder of the experiment [default: runs/ and the NAME, with --small behind it -small]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Take the finished runs of this folder of the same experiment in, and their exports: of another machine or GPU, or of an earlier version of other rows; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Vec<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(seconds),
        _ => Err(format!("`{text}` is no number of seconds above 0")),
    }
}
