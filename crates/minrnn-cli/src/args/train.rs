//! Training: the quickstart and `minrnn train`.

use std::path::PathBuf;

use super::device::{Device, device};

/// Train, export, verify and run a small model in one go.
///
/// It takes minutes on two cores and downloads nothing. The model is a minGRU, the task selective copying (arXiv 2410.01201, section 4.1): 16 data tokens are scattered over
/// a sequence of noise and must be said in their order at its end.
/// Exit code 1 if fewer than 99 % of the tokens of fresh sequences are right, or if the verification does not hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Quickstart {
    /// Folder for everything that is made; it is replaced if an earlier quickstart made it
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    pub(crate) out: PathBuf,
    /// Seed of weights and data
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

const EXAMPLE: &str = "\
A file to begin with (the next character of a text):

  [task]
  kind = \"text\"            # or selective_copying, or sequences (.npy, .npz, .csv with labels)
  path = \"book.txt\"
  seq_len = 256

  [model]                  # what the task determines (vocabulary, classes) is filled in
  width = 128
  layers = 3

  [model.cell]
  kind = \"min_gru\"         # or min_lstm
  expansion = 2.0

  [train]
  steps = 2000
  batch = 32
  lr = 3e-3
  warmup_steps = 100
  eval_every = 200

The task of labelled feature sequences (README.md has all keys):

  [task]
  kind = \"sequences\"
  path = \"pump.csv\"        # a row a step; or .npz, .safetensors with x, y and lengths; or .npy
  id_column = \"run\"
  feature_columns = [\"flow\", \"pressure\"]
  target_columns = [\"level\"]
  ignore_columns = [\"time\"]
  target = \"values\"        # or classes; values are normalised, unless normalize_targets = false
  per = \"step\"             # or sequence";

/// Train a model as a TOML file says.
///
/// In the folder DIR: `best` is the checkpoint with the lowest validation loss so far (export this one), `last` the
/// newest (--resume goes on from it, bit for bit), `metrics.jsonl` one JSON object for each step and each evaluation.
/// Ctrl-C, SIGTERM and SIGHUP save `last` first; a second one ends at once. Relative paths in the file are relative to the current folder.
///
/// --resume holds CONFIG.toml against the checkpoint. What the model means must be the same: [model] but its dropout, the kind
/// of the task, the vocabulary, the names and the order of features and targets, the seed, and the content of the data.
/// The rest may change (steps, learning rate, batch, seq_len, optimizer, evaluation, precision, device); a note says what that does.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Train {
    /// Tables [task], [model] and [train]; unknown keys are refused
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,
    /// Replaces a value of the file, e.g. --set train.steps=100 or --set 'task.path="a.txt"'; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where to compute: cpu, or cuda, cuda:N (a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// Folder of the run [default: runs/ and the name of CONFIG.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on where the run in DIR stopped; [model] may be left out
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write an event file for TensorBoard too, in DIR/tensorboard: losses, accuracy, learning rate, norm of the gradient, speed, and of a text model what it writes at evaluations
    #[arg(long)]
    pub(crate) tensorboard: bool,
    /// Begin also where the run seems to need more memory than there is
    #[arg(long)]
    pub(crate) force: bool,
    /// With --resume: the data may be others than those of the checkpoint; its vocabulary and statistics stay
    #[arg(long, requires = "resume", conflicts_with = "from")]
    pub(crate) new_data: bool,
    /// Begin a new run with the weights, the vocabulary and the statistics of a checkpoint, a run (its `best`) or an import; [model] may be left out
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "resume")]
    pub(crate) from: Option<PathBuf>,
}
