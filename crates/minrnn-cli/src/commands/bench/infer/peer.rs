//! ONNX Runtime's side: a Python process that answers requests (`peer.py`).

use std::cell::RefCell;
use std::fs::File as LogFile;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use minrnn_runtime::{Form, Head, Info, Init};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::case::{Case, feeds_back};
use super::contender::{Contender, Label, ORT};
use super::data::Data;
use super::subject::File;

const SCRIPT: &str = include_str!("peer.py");

/// Ways to call ONNX Runtime.
pub(super) const WAYS: [&str; 2] = ["binding", "run"];

/// The process. It ends when this is dropped.
pub(super) struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
    pub(super) versions: Versions,
    opened: usize,
}

/// What the process runs on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Versions {
    pub(super) onnxruntime: String,
    pub(super) numpy: String,
    pub(super) python: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Json),
    Error(String),
}

impl Peer {
    /// Starts `python` with the script, which is written into `folder`.
    pub(super) fn start(python: &Path, folder: &Path) -> Result<Self> {
        let (script, log) = (folder.join("peer.py"), folder.join("peer.log"));
        std::fs::write(&script, SCRIPT)
            .with_context(|| format!("cannot write {}", script.display()))?;
        let errors =
            LogFile::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(python)
            .arg(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {}; --python takes a Python that has onnxruntime and numpy",
                    python.display()
                )
            })?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no stdout of the process")?);
        let unknown = Versions {
            onnxruntime: String::new(),
            numpy: String::new(),
            python: String::new(),
        };
        let mut peer = Self {
            child,
            requests,
            answers,
            log,
            versions: unknown,
            opened: 0,
        };
        peer.versions = peer.ask(&json!({ "do": "hello" })).with_context(|| {
            format!(
                "{} cannot be used; --python takes a Python that has onnxruntime and numpy",
                python.display()
            )
        })?;
        Ok(peer)
    }

    fn ask<T: DeserializeOwned>(&mut self, request: &Json) -> Result<T> {
        let line = serde_json::to_string(request)? + "\n";
        let requests = self.requests.as_mut().context("the process has ended")?;
        let sent = requests
            .write_all(line.as_bytes())
            .and_then(|()| requests.flush());
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        if sent.is_err() || !matches!(read, Ok(1..)) {
            return Err(self.ended());
        }
        let answer = serde_json::from_str(&answer)
            .with_context(|| format!("the Python process answered {}", answer.trim()))?;
        match answer {
            Answer::Ok(value) => Ok(serde_json::from_value(value)?),
            Answer::Error(what) => bail!("the Python process failed: {what}"),
        }
    }

    /// Its last words.
    fn ended(&self) -> anyhow::Error {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        anyhow!(
            "the Python process has ended: {}",
            last.unwrap_or("it said nothing")
        )
    }

    /// Lets go of all files.
    pub(super) fn close(&mut self) -> Result<()> {
        self.ask(&json!({ "do": "close" }))
    }

    /// Seconds of a call that has next to nothing to compute: bound, plain.
    pub(super) fn overhead(&mut self, graph: &Path) -> Result<[f64; 2]> {
        self.ask(&json!({ "do": "overhead", "path": graph }))
    }

    /// Seconds from a file to the first output of a step.
    pub(super) fn load(&mut self, file: &File, case: Case, data: (&Data, &Path)) -> Result<f64> {
        let mut request = job(file, case, data, WAYS[0]);
        request["do"] = "load".into();
        self.ask(&request)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself at the end of its requests; where it hangs, it is ended. Nobody is left to tell of errors.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One file in one session of the process.
pub(super) struct PeerFile {
    peer: Rc<RefCell<Peer>>,
    id: usize,
    label: Label,
    out: PathBuf,
    /// Values of the output and of each state, for [`Contender::outcome`].
    lengths: Vec<usize>,
}

impl PeerFile {
    pub(super) fn open(
        peer: &Rc<RefCell<Peer>>,
        file: &File,
        case: Case,
        (data, path): (&Data, &Path),
        io: &'static str,
    ) -> Result<Self> {
        let mut asked = peer.borrow_mut();
        let id = asked.opened;
        asked.opened += 1;
        let mut request = job(file, case, (data, path), io);
        request["do"] = "open".into();
        request["id"] = id.into();
        asked.ask::<()>(&request)?;
        let info = &file.info;
        let rows = match info.head {
            Head::Last if !case.step => case.batch,
            _ => case.batch * case.seq_len * data.calls,
        };
        let states = info.states.iter().map(|s| s.len() * case.batch);
        Ok(Self {
            peer: peer.clone(),
            id,
            label: Label {
                engine: ORT,
                form: file.form.clone(),
                io: Some(io),
            },
            out: path.with_file_name("outcome.bin"),
            lengths: std::iter::once(rows * info.output.width)
                .chain(states)
                .collect(),
        })
    }
}

/// Everything that `Runner` in the script wants to know.
fn job(file: &File, case: Case, (data, path): (&Data, &Path), io: &str) -> Json {
    let info = &file.info;
    let state = |s: &minrnn_runtime::StateSpec| {
        let init = match &s.init {
            Init::Zero => Json::Null,
            Init::Values(values) => json!(values),
        };
        json!({ "input": s.input, "output": s.output, "shape": s.shape, "init": init })
    };
    json!({
        "path": file.path,
        "threads": case.threads,
        "io": io,
        "step": case.step,
        "feedback": case.step && feeds_back(info),
        "batch": case.batch,
        "seq_len": case.seq_len,
        "width": data.width,
        "data": path,
        "input": info.input.name(),
        "output": info.output.name,
        "classes": info.output.width,
        "last": info.head == Head::Last,
        "states": info.states.iter().map(state).collect::<Vec<_>>(),
        "extras": extras(info, case),
    })
}

/// Inputs beside data and states, so that they change nothing: whole lengths, no reset.
fn extras(info: &Info, case: Case) -> Vec<Json> {
    let mut all = vec![];
    if info.lengths {
        all.push(json!({ "name": "lengths", "shape": [case.batch], "value": case.seq_len, "dtype": "int64" }));
    }
    if info.reset {
        let shape = match info.form {
            Form::Step => vec![case.batch],
            _ => vec![case.batch, case.seq_len],
        };
        all.push(json!({ "name": "reset", "shape": shape, "value": false, "dtype": "bool" }));
    }
    all
}

impl Contender for PeerFile {
    fn label(&self) -> Label {
        self.label.clone()
    }

    fn outcome(&mut self) -> Result<Vec<Vec<f32>>> {
        let request = json!({ "do": "check", "id": self.id, "out": self.out });
        self.peer.borrow_mut().ask::<()>(&request)?;
        let bytes = std::fs::read(&self.out)
            .with_context(|| format!("cannot read {}", self.out.display()))?;
        let (values, _) = bytes.as_chunks::<4>();
        let mut values = values.iter().map(|b| f32::from_le_bytes(*b));
        let mut parts: Vec<Vec<f32>> = self
            .lengths
            .iter()
            .map(|n| values.by_ref().take(*n).collect())
            .collect();
        // Too many values are as wrong as too few: they stay to be seen.
        if let Some(last) = parts.last_mut() {
            last.extend(values);
        }
        Ok(parts)
    }

    fn run(&mut self, calls: usize) -> Result<f64> {
        let request = json!({ "do": "time", "id": self.id, "calls": calls });
        self.peer.borrow_mut().ask(&request)
    }
}
