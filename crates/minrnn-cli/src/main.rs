//! The `minrnn` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    minrnn_cli::settle();
    minrnn_cli::hush();
    minrnn_cli::main_with(std::env::args_os())
}
