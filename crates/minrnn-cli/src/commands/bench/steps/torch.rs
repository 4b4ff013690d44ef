//! The same steps by PyTorch, in a process of its own that stays for all rounds.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value as Json, json};

use super::ours::Case;

/// The program.
const PROGRAM: &str = include_str!("torch.py");

/// PyTorch, waiting for the next line.
pub(super) struct Torch {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its version.
    pub(super) version: String,
}

impl Torch {
    /// Starts it with so many threads.
    pub(super) fn start(python: &Path, threads: usize) -> io::Result<Self> {
        let mut process = Command::new(python)
            .args(["-c", PROGRAM, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let gone = || io::Error::other("has no pipes");
        let ask = process.stdin.take().ok_or_else(gone)?;
        let answers = BufReader::new(process.stdout.take().ok_or_else(gone)?);
        let mut torch = Self {
            process,
            ask,
            answers,
            version: String::new(),
        };
        let first = torch.answer()?;
        torch.version = first["torch"].as_str().unwrap_or("?").to_owned();
        Ok(torch)
    }

    /// Milliseconds of each of so many steps; `mode`: eager or compile.
    pub(super) fn steps(&mut self, case: &Case, mode: &str, steps: usize) -> io::Result<Vec<f64>> {
        let question = json!({
            "model": case.name, "mode": mode, "steps": steps, "batch": case.batch, "time": case.time,
        });
        writeln!(self.ask, "{question}")?;
        self.ask.flush()?;
        let answer = self.answer()?;
        let times = answer["ms"].as_array().into_iter().flatten();
        Ok(times.filter_map(Json::as_f64).collect())
    }

    fn answer(&mut self) -> io::Result<Json> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other(
                "ended without an answer: is PyTorch installed there, with a C++ compiler for torch.compile?",
            ));
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
