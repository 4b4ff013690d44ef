//! `minrnn report`.

use std::path::PathBuf;

use super::Part;
use super::numbers::one_or_more;

/// One HTML page about a model: its training, its layers, what its gates remember, its figures, its files.
///
/// DIR is a run (then its `best`), a checkpoint or an export. The page has no script and asks no network; it is light or dark as the reader's system is.
/// Training curves are of the run's metrics.jsonl; distributions, figures and samples of text of windows of the data, which `minrnn eval` would measure;
/// the verification of the JSON that `minrnn verify --json FILE` writes. The same inputs give the same bytes, and no path is in it. docs/report.md says more.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// Folder of a run (then its `best`), of a checkpoint or of an export
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the page is written [default: report.html in DIR]
    #[arg(long, value_name = "FILE.html")]
    pub(crate) output: Option<PathBuf>,
    /// Of an export: the run or the checkpoint that it was made from, for the training curves and the data
    #[arg(long, value_name = "RUN", conflicts_with = "export")]
    pub(crate) run: Option<PathBuf>,
    /// Of a run or a checkpoint: the export that was made from it, for its files and its verification [default: the folder export in DIR, where there is one]
    #[arg(long, value_name = "EXPORT")]
    pub(crate) export: Option<PathBuf>,
    /// What `minrnn verify EXPORT --json FILE` wrote [default: verify.json in the folder of the export or beside it, where there is one]
    #[arg(long, value_name = "FILE.json")]
    pub(crate) verification: Option<PathBuf>,
    /// The data, as of `minrnn eval` [default: those that the run was trained on]
    #[arg(long, value_name = "CONFIG.toml|RUN|FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Replaces a value of the configuration of the data, e.g. --set 'task.path="a.txt"'; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Which part of the data [default: test, or validation where there is no test part]
    #[arg(long, value_name = "PART")]
    pub(crate) split: Option<Part>,
    /// Windows to measure, from the first on
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = one_or_more)]
    pub(crate) samples: usize,
    /// Leave out what needs data: figures, distributions, memory
    #[arg(long, conflicts_with_all = ["data", "set", "split", "samples"])]
    pub(crate) no_data: bool,
}
