//! The steps of `efficiency` by PyTorch, for `--python`: in a process of its own that stays for all rows.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::context::Context;
use super::outcome::Done;
use super::queue::Item;
use super::step::slow;
use super::train::Ran;

/// The program.
const PROGRAM: &str = include_str!("torch.py");

/// A line of the program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    torch: Option<String>,
    fatal: Option<String>,
    refused: Option<String>,
    ms: Option<f64>,
    bytes: Option<f64>,
}

/// PyTorch, waiting for a line.
pub(super) struct Torch {
    process: Child,
    ask: ChildStdin,
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
        let ask = process.stdin.take().context("it has no input")?;
        let answers = process.stdout.take().context("it has no output")?;
        let mut torch = Self {
            process,
            ask,
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

/// Measures one length of a row; `before` are the shorter ones.
pub(super) fn run(cx: &Context, item: &Item, before: &[&Done]) -> Result<Ran> {
    let mut done = Done::new(&item.row.name, &item.case(), cx.place);
    if let Some(why) = slow(before) {
        done.outcome.failed = Some(why);
        return Ok(Ran::Done(Box::new(done)));
    }
    let config = cx.config(item.row, 0, None)?.train;
    let mut torch = cx.torch.borrow_mut();
    let Some(torch) = torch.as_mut() else {
        bail!("{}: this row needs --python", item.row.name);
    };
    let asked = json!({
        "engine": item.row.engine,
        "batch": config.train.batch,
        "time": item.case,
        "width": config.model.width,
        "layers": config.model.layers,
    });
    writeln!(torch.ask, "{asked}")?;
    torch.ask.flush()?;
    let line = torch.answer()?;
    match (line.ms, line.refused) {
        (Some(ms), None) => {
            cx.ui.note(&format!(
                "{}: {ms:.3} ms a step, PyTorch {}",
                item.key(),
                torch.version
            ));
            done.time(format!("ms.{}", item.case), ms);
            if let Some(bytes) = line.bytes {
                done.time(format!("mb.{}", item.case), bytes / 1e6);
            }
        }
        (_, why) => done.outcome.failed = Some(why.unwrap_or_else(|| "no answer".into())),
    }
    Ok(Ran::Done(Box::new(done)))
}
