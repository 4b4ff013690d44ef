//! A training that goes on for long, in a process of its own.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus};

use tempfile::TempDir;

use crate::harness::{folder, process};

/// A line on stderr every two steps.
pub(crate) const ENDLESS: [&str; 8] = [
    "train",
    "tiny.toml",
    "--out",
    "run",
    "--set",
    "train.steps=1000000",
    "--set",
    "train.eval_every=2",
];

/// The process, which ends with this.
pub(crate) struct Training {
    pub(crate) dir: TempDir,
    pub(crate) child: Child,
    lines: BufReader<ChildStderr>,
}

impl Training {
    /// [`ENDLESS`], up to its first line, where `best` and `last` are there.
    pub(crate) fn begin() -> Self {
        let dir = folder();
        let command = process(dir.path(), &ENDLESS);
        let mut training = Self::of(dir, command);
        training.until("step 2 ");
        training
    }

    pub(crate) fn of(dir: TempDir, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { dir, child, lines }
    }

    /// Reads up to a line that begins so, and gives it.
    pub(crate) fn until(&mut self, begin: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(begin) {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
        }
        line
    }

    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, name: &str) {
        send(name, &self.child);
    }

    /// Its exit code and the rest of what it said.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    /// As by the system; nothing is saved.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn send(signal: &str, child: &Child) {
    let kill = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
}

/// What `run/last` says of its training.
pub(crate) fn state(dir: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(dir.join("run/last/trainer_state.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
