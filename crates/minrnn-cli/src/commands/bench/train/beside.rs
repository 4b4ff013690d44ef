//! The same steps by PyTorch and its packages on the same GPU, for `--python`: in a process of its own that stays for all rows.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

/// The program.
const PROGRAM: &str = include_str!("beside.py");

/// A figure of another program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Figure {
    pub(super) engine: String,
    pub(super) ms: Option<f64>,
    #[serde(default)]
    pub(super) peak_bytes: usize,
    /// Why there is none.
    pub(super) refused: Option<String>,
}

/// A line of the program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    torch: Option<String>,
    fatal: Option<String>,
    rows: Vec<Figure>,
}

/// PyTorch, waiting for a line.
pub(super) struct Beside {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its version.
    pub(super) torch: String,
}

impl Beside {
    /// That of a Python, on GPU number `ordinal`.
    ///
    /// # Errors
    /// No such program; no PyTorch there, or none that sees a GPU.
    pub(super) fn start(python: &Path, ordinal: usize) -> Result<Self> {
        let what = || format!("--python {}", python.display());
        let mut process = Command::new(python)
            .args(["-c", PROGRAM, &ordinal.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(what)?;
        let ask = process.stdin.take().context("it has no input")?;
        let answers = process.stdout.take().context("it has no output")?;
        let mut beside = Self {
            process,
            ask,
            answers: BufReader::new(answers),
            torch: String::new(),
        };
        let first = beside.answer().with_context(what)?;
        if let Some(why) = first.fatal {
            bail!("{}: {why}", what());
        }
        beside.torch = first.torch.unwrap_or_default();
        Ok(beside)
    }

    /// Its figures of a model; none where it has no such model.
    ///
    /// # Errors
    /// The process ended.
    pub(super) fn steps(
        &mut self,
        model: &str,
        shape: [usize; 3],
        dtype: &str,
    ) -> Result<Vec<Figure>> {
        let question = json!({ "model": model, "shape": shape, "dtype": dtype });
        writeln!(self.ask, "{question}").context("PyTorch's process ended")?;
        self.ask.flush()?;
        Ok(self.answer()?.rows)
    }

    fn answer(&mut self) -> Result<Line> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("PyTorch's process ended without an answer");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
