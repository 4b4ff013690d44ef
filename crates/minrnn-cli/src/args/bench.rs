//! `minrnn bench`.

use std::path::PathBuf;

use clap::Subcommand;

use super::EnginePrograms;
use super::device::{Device, device};
use super::numbers::{at_least_one, seq_len};
use crate::verify::contender::Choice;

/// Measure kernels and training steps on a GPU, and inference on the CPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) what: BenchWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// The recurrences' kernels, forward and backward, against a device copy of the same bytes in the same run; each is checked before it is timed
    Scan(BenchScan),
    /// Whole training steps: single layers (forward, mean square, backward) and a language model (with clipping and AdamW)
    Train(BenchTrain),
    Infer(BenchInfer),
    Engines(BenchEngines),
}

/// Which engine runs which form of which export: right, refused and why, or wrong.
///
/// Every form of every export in every engine, outputs and states held to the judge of the ONNX standard as `minrnn verify --engine` holds them. Exit code 1 if an engine is wrong.
/// docs/engines.md has the table of the models in this repository.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchEngines {
    /// Folders of exports
    #[arg(value_name = "EXPORT_DIR", required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    /// Only this engine; may be repeated [default: all that are here]
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
    /// Longest T, in steps
    #[arg(long, value_name = "N", default_value_t = 33, value_parser = at_least_one)]
    pub(crate) max_len: usize,
    /// Seed of inputs and states
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Put the tables into this page, between its marks; else they are printed
    #[arg(long, value_name = "FILE.md")]
    pub(crate) out: Option<PathBuf>,
    /// Write the figures as JSON, schema minrnn.bench.engines/1
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Inference on the CPU: minrnn-runtime, and other engines in turn with it on the same files and inputs.
///
/// Without EXPORT_DIR, models are made with random weights: `lm` (3 layers, width 384, expansion 2, as in the paper), steps of one row and of 64, whole sequences, weights of f32 and int8;
/// `controller` and `controller-mlp` (2 layers, width 64), steps of one row; `mamba` and `mamba2` (3 layers, width 384), steps of one row and the shorter sequences; `signed-min-gru`, `aaren`, `s4d`, `h3` and `attention` (of that size, a window of 256), steps of one row. Steps carry their states. Rounds, in each of which every engine runs for a while; figures are medians of the rounds. What comes
/// out of each run is held to what minrnn gives after as many calls, and minrnn to the judge of the ONNX standard: an engine that is wrong has no time, and exit code 1 if it was named. docs/performance.md says more.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchInfer {
    /// Folders of exports to measure in the place of the models that are made
    #[arg(value_name = "EXPORT_DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Measure this engine too: tract, onnxruntime, openvino, .., all (that are here), or a program of yours as NAME=CMD, as for `minrnn verify`; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
    /// The engine that others are so many times as fast as [default: onnxruntime where it is measured, else minrnn]
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Only rows whose name (model, form, type, sizes, threads) contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// T of sequences; may be repeated [default: 512 and 4096, with --quick 16 and 64, or the longest that a file takes]
    #[arg(long, value_name = "N", value_parser = seq_len)]
    pub(crate) seq_len: Vec<usize>,
    /// Threads of the rows with several: sequences, and a step of many rows, which is measured on one as well
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Rounds [default: 9, with --quick 5]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) rounds: Option<usize>,
    /// Fewer rows and shorter sequences, and a tenth of the time for each: to try it out
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the figures as JSON, schema minrnn.bench.infer/2
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchOptions {
    /// Where: cpu (training steps alone), cuda, or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// Only rows whose name (operation, pass, shape, type) contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// Write the figures as JSON, schema minrnn.bench.scan/1 or minrnn.bench.train/1
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchScan {
    #[command(flatten)]
    pub(crate) options: BenchOptions,
    /// Measure fla's and accelerated-scan's recurrences too, as far as this Python has them, each after ours; their results are held to float64 before they are timed
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchTrain {
    #[command(flatten)]
    pub(crate) options: BenchOptions,
    /// Show where the language model's step spends its time, launch by launch
    #[arg(long)]
    pub(crate) profile: bool,
    /// Choose the algorithms of matrix products by time, as train.tuned does
    #[arg(long)]
    pub(crate) tuned: bool,
    /// Measure PyTorch too, with this Python: on the CPU eager and compiled, in turn with the tape and candle; on a GPU compiled, and mamba_ssm where it is installed
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// On the CPU: turns of each engine; figures are the best steps
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub(crate) rounds: usize,
}

impl BenchOptions {
    /// Whether the device is the CPU.
    pub(crate) fn is_on_cpu(&self) -> bool {
        self.device == Device::Cpu
    }

    /// Which GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn ordinal(&self) -> usize {
        match self.device {
            Device::Cuda(n) => n,
            Device::Cpu => 0,
        }
    }
}
