//! `minrnn sweep`.

use std::path::PathBuf;

use super::device::{Device, device};

const EXAMPLE: &str = "\
A file to begin with:

  config = \"train.toml\"      # what every run begins with; relative to the current folder
  draws = 12                 # runs, values drawn by chance; left out: a run for each combination
  seed = 0                   # of the draws; [train] has its own

  [vary]
  train.lr = { from = 1e-4, to = 1e-2, scale = \"log\" }
  train.batch = [16, 32, 64]
  model.layers = { from = 1, to = 4 }      # whole numbers where both ends are
  model.cell.kind = [\"min_gru\", \"min_lstm\"]";

/// Train a configuration many times, each with other values of some keys, and rank the runs.
///
/// DIR gets a folder a run (`000`, `001`, ..: each what `minrnn train` makes), `sweep.md` and `sweep.csv`, the runs from the lowest validation loss to the highest, and `sweep.svg`, the loss against each key.
/// The same command goes on where it stopped: finished runs stay, one that was stopped is resumed, and more `draws` add runs behind the others.
/// A run that fails (a loss that is not finite) is a row of the table with its reason; the others go on. What keeps a run from its first step (data, memory) ends the sweep.
/// Exit code 1 if a run failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Sweep {
    /// Keys `config`, `draws`, `seed` and the table [vary]; unknown keys are refused
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) file: PathBuf,
    /// Replaces a value of the configuration in every run; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where to compute: cpu, or cuda, cuda:N (a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// Each run also writes event files for TensorBoard, as `minrnn train --tensorboard` does
    #[arg(long)]
    pub(crate) tensorboard: bool,
    /// Folder of the runs [default: runs/ and the name of SWEEP.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
