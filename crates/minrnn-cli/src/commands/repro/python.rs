//! PyTorch, in a process of its own that stays for all rows.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// The program.
const PROGRAM: &str = include_str!("torch.py");

/// A line of the program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    torch: Option<String>,
    fatal: Option<String>,
    pub(super) refused: Option<String>,
    pub(super) ms: Option<f64>,
    pub(super) bytes: Option<f64>,
}

/// PyTorch, waiting for a line.
pub(super) struct Torch {
    process: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Torch {
    /// That of a Python, on `device` (`cpu` or `cuda`).
    ///
    /// # Errors
    /// No such program; no PyTorch there, or none that sees a GPU.
    pub(super) fn start(python: &Path, device: &str) -> Result<Self> {
        let what = || format!("--python {}", python.display());
        let mut process = Command::new(python)
            .args(["-c", PROGRAM, device])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(what)?;
        let input = process.stdin.take().context("it has no input")?;
        let answers = process.stdout.take().context("it has no output")?;
        let mut torch = Self {
            process,
            input,
            answers: BufReader::new(answers),
            version: String::new(),
        };
        let first = torch.answer().with_context(what)?;
        if let Some(why) = first.fatal {
            bail!("{}: {why}", what());
        }
        torch.version = first.torch.unwrap_or_default();
        Ok(torch)
    }

    /// Its version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// One line to it, and its answer.
    ///
    /// # Errors
    /// It is not there any longer, or says what is no answer.
    pub(super) fn ask(&mut self, line: &Value) -> Result<Line> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Line> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            bail!("PyTorch's process ended without an answer");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
