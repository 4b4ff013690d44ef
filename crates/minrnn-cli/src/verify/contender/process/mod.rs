//! Engines that are programs of their own, behind the protocol of `docs/engines.md`: frames on stdin and stdout.
//!
//! A program is never trusted: what it sends is bounded in size and time, what it says is held to what was asked. A worker has one
//! file open at a time; each file has a worker of its own, so that one that stops takes no other file with it.

mod child;
mod frame;
#[cfg(test)]
mod tests;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use minrnn_onnx::ir::{DType, Model};

use super::{Array, Contender, Failure, Io, Lap, Opened, Refusal, Timing, inner};
use child::{Gone, Worker};
use frame::Frame;
use wire::{Answer, Meta, PROTOCOL, Request};

/// How a worker is started.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) program: std::ffi::OsString,
    pub(super) args: Vec<String>,
}

/// An engine in a program.
pub(super) struct Program {
    name: String,
    version: String,
    shared: Rc<Shared>,
}

/// What all files of a program have in common.
struct Shared {
    start: Start,
    limit: Duration,
    /// Types that it takes; none: it does not say.
    types: Option<Vec<String>>,
    opsets: Option<(i64, i64)>,
    ways: Vec<Io>,
    /// Workers that have no file open.
    idle: RefCell<Vec<Worker>>,
}

/// Where a file lies, and how it is opened.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    threads: usize,
}

/// A file in a worker.
struct File {
    worker: Option<Worker>,
    shared: Rc<Shared>,
    /// Types of its outputs.
    declared: BTreeMap<String, DType>,
    /// What is opened.
    model: Model,
    /// Where it lies.
    dir: Option<PathBuf>,
    threads: usize,
    /// How long the worker took for it.
    opening: Duration,
    /// Where a copy lies in which every tensor is an output.
    copy: Option<tempfile::TempDir>,
}

impl Program {
    /// Starts a program and asks who it is. `name` is what it was called by the user.
    ///
    /// # Errors
    /// It cannot be started, does not speak the protocol, or says that its engine is not there.
    pub(super) fn start(name: &str, start: Start, limit: Duration) -> Result<Self, Refusal> {
        let (worker, answer) = begin(&start, limit)?;
        let Answer {
            version,
            types,
            opsets,
            io,
            ..
        } = answer;
        // One that does not say has the simple one, or refuses to time at all.
        let io = io.unwrap_or_else(|| vec![Io::Plain.name().to_owned()]);
        let ways = Io::ALL.into_iter();
        let ways = ways.filter(|way| io.iter().any(|n| n == way.name()));
        let Some(version) = version.filter(|v| !v.is_empty()) else {
            return refuse("it does not say its version");
        };
        Ok(Self {
            name: name.to_owned(),
            version: first_line(&version),
            shared: Rc::new(Shared {
                start,
                limit,
                types,
                opsets,
                ways: ways.collect(),
                idle: RefCell::new(vec![worker]),
            }),
        })
    }
}

impl Contender for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn open(
        &mut self,
        file: &Path,
        bytes: &[u8],
        threads: usize,
    ) -> Result<Box<dyn Opened>, Refusal> {
        let model = Model::decode(bytes).map_err(|e| Refusal { why: e.to_string() })?;
        if let Some((old, new)) = self.shared.opsets
            && let Some(opset) = model.opset().filter(|o| !(old..=new).contains(o))
        {
            return refuse(format!(
                "it knows opsets {old} to {new}, the file has {opset}"
            ));
        }
        let path = file.canonicalize();
        let path = path
            .ok()
            .and_then(|p| p.into_os_string().into_string().ok());
        let Some(path) = path else {
            return refuse("the path of the file is no text");
        };
        let place = Place {
            path: &path,
            threads,
        };
        Ok(Box::new(File::open(&self.shared, place, model, None)?))
    }
}

impl Opened for File {
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        let tensors = self.metas(feeds)?;
        let frame = self.ask(&Request::Run { tensors, wanted }, feeds)?;
        self.results(&frame, wanted)
    }

    fn ways(&self) -> Vec<Io> {
        self.shared.ways.clone()
    }

    fn time(&mut self, timing: &Timing) -> Result<Lap, Failure> {
        let asked = Request::Time {
            io: timing.io,
            calls: timing.calls,
            feedback: timing.feedback,
            wanted: timing.wanted,
            tensors: self.metas(timing.feeds)?,
        };
        let begin = Instant::now();
        let frame = self.ask(&asked, timing.feeds)?;
        let passed = begin.elapsed().as_secs_f64();
        let last = self.results(&frame, timing.wanted)?;
        match frame.answer.seconds {
            Some(seconds) if (0.0..=passed).contains(&seconds) => Ok(Lap { seconds, last }),
            Some(seconds) => Err(Failure::Wrong(format!(
                "it says that it took {seconds} s, of {passed:.3} that passed"
            ))),
            None => Err(Failure::Wrong("it does not say how long it took".into())),
        }
    }

    fn opening(&self) -> Option<Duration> {
        Some(self.opening)
    }

    fn shows_inner(&self) -> bool {
        self.copy.is_some()
    }

    fn inner(&mut self) -> Option<Box<dyn Opened>> {
        Some(Box::new(self.all_outputs()?))
    }
}

impl File {
    fn open(
        shared: &Rc<Shared>,
        Place { path, threads }: Place,
        model: Model,
        copy: Option<tempfile::TempDir>,
    ) -> Result<Self, Refusal> {
        let idle = shared.idle.borrow_mut().pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => begin(&shared.start, shared.limit)?.0,
        };
        let open = Request::Open {
            path,
            threads,
            options: serde_json::Map::new(),
        };
        let begin = Instant::now();
        let answer = match worker.ask(request(&open, &[])?, shared.limit) {
            Ok(Frame { answer, .. }) => answer,
            Err(Gone(why)) => return refuse(why),
        };
        let opening = begin.elapsed();
        if let Some(why) = answer.refused {
            shared.idle.borrow_mut().push(worker);
            return refuse(first_line(&why));
        }
        let outputs = model.graph.outputs.iter();
        Ok(Self {
            worker: Some(worker),
            shared: shared.clone(),
            declared: outputs
                .filter_map(|o| Some((o.name.clone(), o.dtype?)))
                .collect(),
            model,
            dir: Path::new(path).parent().map(Path::to_owned),
            threads,
            opening,
            copy,
        })
    }

    fn metas(&self, feeds: &[(&str, &Array)]) -> Result<Vec<Meta>, Failure> {
        let one = |(name, array): &(&str, &Array)| {
            let meta = Meta::of(name, array).filter(|m| takes(&self.shared.types, &m.dtype));
            let why = || format!("it takes no values of type {}", array.dtype());
            meta.ok_or_else(|| Failure::Refused(why()))
        };
        feeds.iter().map(one).collect()
    }

    /// Asks, with these tensors behind the request.
    fn ask(&mut self, asked: &Request, feeds: &[(&str, &Array)]) -> Result<Frame, Failure> {
        let Some(worker) = &mut self.worker else {
            return Err(Failure::Stopped("it is gone".into()));
        };
        let arrays: Vec<&Array> = feeds.iter().map(|(_, a)| *a).collect();
        let bytes = request(asked, &arrays).map_err(|e| Failure::Refused(e.why))?;
        match worker.ask(bytes, self.shared.limit) {
            Ok(frame) => Ok(frame),
            Err(Gone(why)) => {
                self.worker = None;
                Err(Failure::Stopped(why))
            }
        }
    }

    /// A copy of the file in which every tensor of the main graph is an output, with the constants that lie beside it.
    fn all_outputs(&self) -> Option<Self> {
        let (model, copy) = inner::all_outputs(&self.model, self.dir.as_deref())?;
        let path = copy.path().join(inner::FILE);
        let place = Place {
            path: path.to_str()?,
            threads: self.threads,
        };
        Self::open(&self.shared, place, model, Some(copy)).ok()
    }

    /// What was asked for, in that order.
    fn results(&self, frame: &Frame, wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        if let Some(why) = &frame.answer.refused {
            return Err(Failure::Refused(first_line(why)));
        }
        let mut all = vec![];
        for name in wanted {
            let mut found = frame.tensors.iter().filter(|(n, _)| n == name);
            let array = match (found.next(), found.next()) {
                (Some((_, array)), None) => array,
                (None, _) => return Err(Failure::Wrong(format!("it leaves out `{name}`"))),
                _ => return Err(Failure::Wrong(format!("it gives `{name}` twice"))),
            };
            if let Some(declared) = self.declared.get(*name).filter(|d| **d != array.dtype()) {
                return Err(Failure::Wrong(format!(
                    "it gives `{name}` as {}, the file declares {declared}",
                    array.dtype()
                )));
            }
            all.push(array.clone());
        }
        Ok(all)
    }
}

impl Drop for File {
    /// A worker that lets go of the file serves for another one.
    fn drop(&mut self) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        let Ok(close) = request(&Request::Close, &[]) else {
            return;
        };
        let limit = self.shared.limit.min(Duration::from_secs(5));
        if let Ok(frame) = worker.ask(close, limit)
            && frame.answer.refused.is_none()
        {
            self.shared.idle.borrow_mut().push(worker);
        }
    }
}

/// A worker that has said who it is.
fn begin(start: &Start, limit: Duration) -> Result<(Worker, Answer), Refusal> {
    let mut command = Command::new(&start.program);
    command.args(&start.args);
    let started = Worker::start(command).map_err(|e| {
        let program = start.program.to_string_lossy();
        Refusal {
            why: format!("cannot start {program}: {e}"),
        }
    });
    let mut worker = started?;
    let hello = request(&Request::Hello { protocol: PROTOCOL }, &[])?;
    let answer = match worker.ask(hello, limit) {
        Ok(Frame { answer, .. }) => answer,
        Err(Gone(why)) => return refuse(why),
    };
    match &answer.refused {
        Some(why) => refuse(first_line(why)),
        None => Ok((worker, answer)),
    }
}

fn request(request: &Request, tensors: &[&Array]) -> Result<Vec<u8>, Refusal> {
    frame::bytes(request, tensors).map_err(|why| Refusal { why })
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into() })
}

fn takes(types: &Option<Vec<String>>, name: &str) -> bool {
    types
        .as_ref()
        .is_none_or(|all| all.iter().any(|t| t == name))
}

/// Engines say a lot: the first line says what.
fn first_line(text: &str) -> String {
    const MOST: usize = 300;
    let line = text.lines().map(str::trim).find(|l| !l.is_empty());
    let line = line.unwrap_or("without a word");
    let visible = line.chars().filter(|c| !c.is_control());
    let mut short: String = visible.take(MOST).collect();
    if line.chars().count() > MOST {
        short.push('…');
    }
    short
}
