//! `metrics.jsonl`: one JSON object for each step and each evaluation of a run, and for each time that it rolled back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use minrnn_train::TrainError;
use minrnn_train::trainer::{Metrics, RolledBack, StepLog};
use serde::{Deserialize, Serialize};

use crate::files;

/// A line of the log. `seconds` of training up to it, those before a resume too.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
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
    /// The run was at `failed` and is at `step` again; the lines between them are dropped.
    RollBack {
        step: u64,
        failed: u64,
        what: &'a str,
        factor: f64,
        seconds: f64,
    },
}

/// What is needed of a line to go on after it.
#[derive(Deserialize)]
struct Head {
    event: String,
    step: u64,
    #[serde(default)]
    tokens: u64,
    #[serde(default)]
    seconds: f64,
}

/// The log of a run.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    start: Instant,
    /// Seconds of the runs before that this one goes on from.
    before: f64,
    /// Steps of input that the log has.
    tokens: u64,
    /// Evaluations behind its last step, as they are written but for the time and the best.
    evaluated: Vec<String>,
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
        let (text, before, tokens) = kept(&text, done);
        Self::of(path, &text, before, tokens)
    }

    /// A log that has these lines.
    fn of(path: PathBuf, text: &str, before: f64, tokens: u64) -> Result<Self> {
        files::write(&path, text.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            start: Instant::now(),
            before,
            tokens,
            evaluated: evaluated(text),
        })
    }

    pub(crate) fn step(&mut self, log: StepLog) -> Result<(), TrainError> {
        let seconds = self.seconds();
        self.tokens += log.tokens as u64;
        self.evaluated.clear();
        self.line(&Line::Step { log, seconds })
    }

    /// An evaluation after so many steps. The one that the log has already, of a run that was resumed behind its end, is written once.
    pub(crate) fn eval(
        &mut self,
        step: u64,
        metrics: Metrics,
        best: bool,
    ) -> Result<(), TrainError> {
        let line = serde_json::to_string(&Line::Eval {
            step,
            metrics,
            best,
            seconds: 0.0,
        });
        let figures = line.ok().and_then(|line| figures(&line));
        if figures.is_some_and(|figures| self.evaluated.contains(&figures)) {
            return Ok(());
        }
        let seconds = self.seconds();
        self.line(&Line::Eval {
            step,
            metrics,
            best,
            seconds,
        })?;
        self.flush()
    }

    /// The run goes on from an earlier step again: later lines are dropped, and one says so.
    pub(crate) fn rolled_back(
        &mut self,
        dir: &Path,
        back: RolledBack,
        what: &str,
    ) -> Result<(), TrainError> {
        let seconds = self.seconds();
        self.flush()?;
        let path = dir.join(files::METRICS);
        let text = std::fs::read_to_string(&path).map_err(failed("read", &path))?;
        let (text, _, tokens) = kept(&text, back.to);
        let other = |e: anyhow::Error| failed("write", &path)(io::Error::other(format!("{e:#}")));
        *self = Self::of(path.clone(), &text, seconds, tokens).map_err(other)?;
        self.line(&Line::RollBack {
            step: back.to,
            failed: back.failed,
            what,
            factor: back.factor,
            seconds,
        })?;
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.file.flush().map_err(failed("write", &self.path))
    }

    /// Seconds and steps of input of the whole run, whose lines are all here.
    pub(crate) fn whole(&self) -> (f64, f64) {
        (self.seconds(), self.tokens as f64)
    }

    fn seconds(&self) -> f64 {
        ((self.before + self.start.elapsed().as_secs_f64()) * 1e3).round() / 1e3
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), TrainError> {
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

/// The lines of the first `done` steps, the seconds up to the last of them, and their steps of input. A step's number is counted
/// from 0, an evaluation's is that of the steps before it.
fn kept(text: &str, done: u64) -> (String, f64, u64) {
    let (mut kept, mut seconds, mut tokens) = (String::new(), 0.0_f64, 0_u64);
    for line in text.lines() {
        // A line that is none was cut off by a crash.
        let Ok(head) = serde_json::from_str::<Head>(line) else {
            continue;
        };
        if head.step < done || (head.step == done && head.event != "step") {
            kept.push_str(line);
            kept.push('\n');
            seconds = head.seconds.max(0.0);
            tokens = tokens.saturating_add(head.tokens);
        }
    }
    (kept, seconds, tokens)
}

/// The evaluations behind the last step of a log.
fn evaluated(text: &str) -> Vec<String> {
    let lines = text.lines().rev();
    let evaluations = lines.take_while(|line| !line.starts_with("{\"event\":\"step\""));
    evaluations.filter_map(figures).collect()
}

/// What an evaluation's line says of the model: all but the time and whether it was the best.
fn figures(line: &str) -> Option<String> {
    let (figures, _) = line.split_once(",\"best\":")?;
    Some(figures.to_owned())
}

/// Whether a file is the log of a run: every line but one that a crash cut off is a step, an evaluation or a roll back.
pub(crate) fn is_log(path: &Path) -> Result<bool> {
    let bytes = std::fs::read(path).map_err(failed("read", path))?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let known = |line: &[u8]| {
        serde_json::from_slice::<Head>(line)
            .is_ok_and(|h| ["step", "eval", "roll_back"].contains(&&*h.event))
    };
    let mut lines = bytes[..whole].split(|b| *b == b'\n');
    Ok(lines.all(|line| line.is_empty() || known(line)))
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
            loss_scale: None,
            skipped: false,
        };
        let metrics = Metrics {
            loss: 0.25,
            accuracy: Some(1.0),
            count: 4,
        };
        let run = |from: u64, to: u64| {
            let mut log = Log::open(dir.path(), from).unwrap();
            assert_eq!(log.whole().1, from as f64 * 8.0);
            std::thread::sleep(std::time::Duration::from_millis(30));
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
        let heads = || {
            text.lines()
                .map(|l| serde_json::from_str::<Head>(l).unwrap())
        };
        let times: Vec<f64> = heads().map(|h| h.seconds).collect();
        assert!(times.is_sorted() && times[0] > 0.02, "{times:?}");
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

    /// A run that was at its end and is resumed makes its last evaluation again: the log has it once, but another one is another line.
    #[test]
    fn an_evaluation_that_is_made_again_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = |loss: f64| Metrics {
            loss,
            accuracy: None,
            count: 4,
        };
        let step = StepLog {
            step: 0,
            loss: 0.5,
            lr: 1e-3,
            grad_norm: 2.0,
            tokens: 8,
            loss_scale: None,
            skipped: false,
        };
        let mut log = Log::open(dir.path(), 0).unwrap();
        log.step(step).unwrap();
        log.eval(1, metrics(0.1 + 0.2), true).unwrap();
        drop(log);
        let path = dir.path().join(files::METRICS);
        let first = std::fs::read_to_string(&path).unwrap();
        assert_eq!(first.lines().count(), 2);
        for _ in 0..3 {
            let mut log = Log::open(dir.path(), 1).unwrap();
            log.eval(1, metrics(0.1 + 0.2), false).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        let mut log = Log::open(dir.path(), 1).unwrap();
        log.eval(1, metrics(0.25), false).unwrap();
        // The same figures behind another step are another evaluation.
        log.step(StepLog { step: 1, ..step }).unwrap();
        log.eval(2, metrics(0.25), false).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(&first) && text.lines().count() == 5,
            "{text}"
        );
    }

    #[test]
    fn a_run_that_rolled_back_has_the_lines_of_the_run_as_it_went_on() {
        let dir = tempfile::tempdir().unwrap();
        let step = |step| StepLog {
            step,
            loss: 0.5,
            lr: 1e-3,
            grad_norm: 2.0,
            tokens: 8,
            loss_scale: None,
            skipped: false,
        };
        let mut log = Log::open(dir.path(), 0).unwrap();
        for i in 0..5 {
            log.step(step(i)).unwrap();
        }
        let back = RolledBack {
            failed: 5,
            to: 2,
            times: [1, 3],
            factor: 0.5,
        };
        log.rolled_back(dir.path(), back, "the loss").unwrap();
        assert_eq!(log.whole().1, 16.0);
        for i in 2..4 {
            log.step(step(i)).unwrap();
        }
        drop(log);
        let path = dir.path().join(files::METRICS);
        assert!(is_log(&path).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let heads = text
            .lines()
            .map(|l| serde_json::from_str::<Head>(l).unwrap());
        let heads: Vec<(String, u64)> = heads.map(|h| (h.event, h.step)).collect();
        let steps = |step| ("step".to_owned(), step);
        let wanted = [
            steps(0),
            steps(1),
            ("roll_back".into(), 2),
            steps(2),
            steps(3),
        ];
        assert_eq!(heads, wanted);
        let line = "\"step\":2,\"failed\":5,\"what\":\"the loss\",\"factor\":0.5,";
        assert!(text.contains(line), "{text}");
        // What is resumed before it has it no more, what is resumed behind it still.
        for (done, lines) in [(1, 1), (2, 3), (4, 5)] {
            assert_eq!(kept(&text, done).0.lines().count(), lines, "{done}");
        }
    }
}
