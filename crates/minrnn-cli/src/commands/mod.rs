//! The commands.

mod bench;
mod diff;
mod engines;
mod eval;
mod export;
mod generate;
mod import;
mod init;
mod inspect;
mod quickstart;
mod report;
mod repro;
mod run;
mod sweep;
mod train;
mod verify;

use anyhow::Result;

use crate::Outcome;
use crate::args::Command;
use crate::given::Given;
use crate::ui::Ui;

/// Runs a command; `given` are the flags that its line has.
pub(crate) fn run(command: &Command, given: &Given, ui: &Ui) -> Result<Outcome> {
    match command {
        Command::Quickstart(args) => quickstart::run(args, ui),
        Command::Init(args) => init::run(args, ui),
        Command::Train(args) => train::run(args, ui),
        Command::Sweep(args) => sweep::run(args, ui),
        Command::Repro(args) => repro::run(args, ui),
        Command::Eval(args) => eval::run(args, given, ui),
        Command::Report(args) => report::run(args, ui),
        Command::Export(args) => export::run(args, given, ui),
        Command::Verify(args) => verify::run(args, given, ui),
        Command::Generate(args) => generate::run(args, given, ui),
        Command::Run(args) => run::run(args, ui),
        Command::Inspect(args) => inspect::run(args, ui),
        Command::Diff(args) => diff::run(args, ui),
        Command::Import(args) => import::run(args, ui),
        Command::Bench(args) => bench::run(args, given, ui),
    }
}
