//! The command line: a file a kind of command.

mod bench;
pub(crate) mod device;
mod engines;
mod eval;
mod export;
mod files;
mod import;
mod infer;
mod init;
mod numbers;
mod report;
mod repro;
mod sweep;
mod train;
mod verify;

use clap::{Parser, Subcommand};

pub(crate) use bench::{
    Bench, BenchEngines, BenchInfer, BenchOptions, BenchScan, BenchTrain, BenchWhat,
};
pub(crate) use engines::{EnginePrograms, Engines};
pub(crate) use eval::{Eval, Part};
pub(crate) use export::{Export, FormChoice};
pub(crate) use files::{Diff, Inspect};
pub(crate) use import::{ActivationChoice, Import, LayoutChoice};
pub(crate) use infer::{EngineChoice, Generate, Run, RunForm};
pub(crate) use init::{Init, InitKind};
pub(crate) use report::Report;
pub(crate) use repro::{Repro, ReproName};
pub(crate) use sweep::Sweep;
pub(crate) use train::{Quickstart, Train};
pub(crate) use verify::{Pair, Verify};

/// Minimal recurrent networks: trained, exported to ONNX, and proven to compute the same in every form.
#[derive(Debug, Parser)]
#[command(name = "minrnn", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// No progress on stderr, only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

const EXIT_CODES: &str = "\
Letters in shapes: B batch, T time, F features, C classes or values.
Results go to stdout, progress and errors to stderr.
Exit codes: 0 done and holds; 1 a check did not hold; 2 wrong use or bad input;
stopped by a signal, 128 and its number: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(Quickstart),
    Init(Init),
    Train(Train),
    Sweep(Sweep),
    Repro(Repro),
    Eval(Eval),
    Report(Report),
    Export(Box<Export>),
    Verify(Box<Verify>),
    Generate(Generate),
    Run(Run),
    Inspect(Inspect),
    Diff(Diff),
    Import(Import),
    Bench(Bench),
}
