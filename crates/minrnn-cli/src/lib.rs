//! The `minrnn` command: train, evaluate, export, verify, generate, run, inspect.
//!
//! It is a library so that programs with layers of their own can use [`verify`], and so that tests can call it.
//! Results go to stdout, everything else to stderr. Exit codes: 0 done and holds; 1 a check did not hold; 2 wrong use or
//! bad input; stopped by a signal, 128 and its number: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.

mod args;
mod averaged;
mod board;
mod codec;
mod commands;
mod config;
mod environment;
mod errors;
mod files;
mod gap;
mod given;
mod interrupt;
mod lock;
mod measure;
mod memory;
mod metrics;
mod nearest;
mod npy;
mod outputs;
mod progress;
mod table;
mod training;
mod ui;
pub mod verify;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Args;
pub use environment::{hush, settle};
use given::Given;
use ui::Ui;

/// How a command ended that was no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Done, and all that was checked holds.
    Holds,
    /// A check did not hold.
    Fails,
    /// A signal, as Ctrl-C.
    Interrupted,
}

/// Runs the command with its arguments, the program's name first.
pub fn main_with<I, A>(args: I) -> ExitCode
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let (args, given) = match parse(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            let help = !error.use_stderr();
            return match error.print() {
                Err(why) if help && why.kind() != std::io::ErrorKind::BrokenPipe => {
                    let why = anyhow::Error::new(why).context(ui::NO_STDOUT);
                    Ui::new(false).error(&errors::text(&why));
                    ExitCode::from(2)
                }
                // Where stderr is closed there is nobody to tell.
                _ if help => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            };
        }
    };
    let ui = Ui::new(args.quiet);
    match commands::run(&args.command, &given, &ui) {
        Ok(Outcome::Holds) => ExitCode::SUCCESS,
        Ok(Outcome::Fails) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => ExitCode::from(interrupt::exit_code()),
        Err(error) => {
            ui.error(&errors::text(&error));
            ExitCode::from(2)
        }
    }
}

fn parse<I, A>(args: I) -> Result<(Args, Given), clap::Error>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let mut command = Args::command();
    let matches = command.try_get_matches_from_mut(args)?;
    let parsed = Args::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
    Ok((parsed, Given::of(&matches)))
}
