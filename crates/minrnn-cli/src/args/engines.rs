//! Engines beside the judge, and the programs that they run in.

use std::path::PathBuf;
use std::time::Duration;

use crate::verify::contender::{Choice, Programs, Refusal, Roster};

/// Engines beside the judge.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Engines, each held to the judge")]
pub(crate) struct Engines {
    /// Ask an engine too: tract, minrnn, candle-onnx (in builds with it), onnxruntime, openvino, reference (the ONNX project's), onnxruntime-node, onnxruntime-web, all (that are here), or a program of yours as NAME=CMD (docs/engines.md); may be repeated. One that is
    /// named decides: exit code 1 if it is wrong, 2 if it runs nothing
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
}

/// What engines run in.
#[derive(Debug, clap::Args)]
pub(crate) struct EnginePrograms {
    /// Python that has onnxruntime, openvino or onnx [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) python: Option<PathBuf>,
    /// Node.js; onnxruntime-node and onnxruntime-web are looked for from the current folder upwards and in NODE_PATH [default: node]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) node: Option<PathBuf>,
    /// How long an engine may take for each answer
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) engine_timeout: Duration,
}

impl EnginePrograms {
    /// Starts what was asked for.
    pub(crate) fn open(&self, choices: &[Choice]) -> Result<Roster, Refusal> {
        let usual = Programs::default();
        let programs = Programs {
            python: self.python.clone().unwrap_or(usual.python),
            node: self.node.clone().unwrap_or(usual.node),
            limit: self.engine_timeout,
        };
        Roster::open(choices, &programs)
    }
}

/// A time to wait.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(n) if (0.1..=86_400.0).contains(&n) => Ok(Duration::from_secs_f64(n)),
        _ => Err("expected seconds, from 0.1 to 86400".into()),
    }
}
