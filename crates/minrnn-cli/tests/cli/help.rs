//! The help of every command.

use crate::harness::{minrnn, snapshot};

fn help(name: &str, args: &[&str]) {
    snapshot(name, &minrnn(std::path::Path::new("."), args));
}

#[test]
fn the_program() {
    help("help", &["--help"]);
}

#[test]
fn every_command() {
    for command in [
        "quickstart",
        "init",
        "train",
        "sweep",
        "repro",
        "eval",
        "report",
        "export",
        "verify",
        "generate",
        "run",
        "inspect",
        "diff",
        "import",
    ] {
        help(&format!("help_{command}"), &[command, "--help"]);
    }
    help("help_bench", &["bench", "--help"]);
    help("help_bench_train", &["bench", "train", "--help"]);
    help("help_bench_infer", &["bench", "infer", "--help"]);
    help("help_bench_engines", &["bench", "engines", "--help"]);
}
