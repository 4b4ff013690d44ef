//! `metrics.jsonl`: one JSON object for each step and each evaluation of a run.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use minrnn_train::TrainError;
use minrnn_train::trainer::{Metrics, StepLog};
use serde::{Deserialize, Serialize};

use crate::files;

/// A line of the log. `seconds` since the training (again) began.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Step {
        #[serde(flatten)]
        log: StepLog,
        seconds: f64,
    },
    Eval {
        step: u64,
        #[serde(flatten)]
        metrics: Metrics,
        best: bool,
        seconds: f64,
    },
}

/// What is needed of a line to go on after it.
#[derive(Deserialize)]
struct Head {
    event: String,
    step: u64,
}

/// The log of a run.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    start: Instant,
}

impl Log {
    /// A log in the folder `dir` that goes on behind `done` steps; lines of later ones are dropped.
    pub(crate) fn open(dir: &Path, done: u64) -> Result<Self> {
        let path = dir.join(files::METRICS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(failed("read", &path)(e).into()),
        };
        files::write(&path, kept(&text, done).as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            start: Instant::now(),
        })
    }

    pub(crate) fn step(&mut self, log: StepLog) -> Result<(), TrainError> {
        let seconds = self.seconds();
        self.line(&Line::Step { log, seconds })
    }

    pub(crate) fn eval(
        &mut self,
        step: u64,
        metrics: Metrics,
        best: bool,
    ) -> Result<(), TrainError> {
        let seconds = self.seconds();
        self.line(&Line::Eval {
            step,
            metrics,
            best,
            seconds,
        })?;
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.file.flush().map_err(failed("write", &self.path))
    }

    fn seconds(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() * 1e3).round() / 1e3
    }

    fn line(&mut self, line: &Line) -> Result<(), TrainError> {
        let write = |file: &mut BufWriter<File>| {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")
        };
        write(&mut self.file).map_err(failed("write", &self.path))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_path_buf();
    move |source| TrainError::Io {
        action,
        path,
        source,
    }
}

/// The lines of the first `done` steps. A step's number is counted from 0, an evaluation's is that of the steps before it.
fn kept(text: &str, done: u64) -> String {
    let keep = |line: &&str| match serde_json::from_str::<Head>(line) {
        Ok(head) if head.event == "step" => head.step < done,
        Ok(head) => head.step <= done,
        // Cut off by a crash.
        Err(_) => false,
    };
    text.lines()
        .filter(keep)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_every_line_once() {
        let dir = tempfile::tempdir().unwrap();
        let step = |step| StepLog {
            step,
            loss: 0.5,
            lr: 1e-3,
            grad_norm: 2.0,
            tokens: 8,
        };
        let metrics = Metrics {
            loss: 0.25,
            accuracy: Some(1.0),
            count: 4,
        };
        let run = |from: u64, to: u64| {
            let mut log = Log::open(dir.path(), from).unwrap();
            for s in from..to {
                log.step(step(s)).unwrap();
                log.eval(s + 1, metrics, false).unwrap();
            }
        };
        run(0, 4);
        let path = dir.path().join(files::METRICS);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"event\":\"st");
        std::fs::write(&path, text).unwrap();
        run(2, 5);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<(String, u64)> = text
            .lines()
            .map(|l| serde_json::from_str::<Head>(l).unwrap())
            .map(|h| (h.event, h.step))
            .collect();
        let wanted = (0..5).flat_map(|s| [("step".to_owned(), s), ("eval".to_owned(), s + 1)]);
        assert_eq!(lines, wanted.collect::<Vec<_>>());
        assert!(
            text.contains("\"loss\":0.25,\"accuracy\":1.0,\"count\":4,\"best\":false"),
            "{text}"
        );
    }
}
