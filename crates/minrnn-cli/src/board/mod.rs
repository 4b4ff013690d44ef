//! TensorBoard's event file of a run, `tensorboard/events.out.tfevents.0.minrnn`, written while it trains.
//!
//! A file is records (`record`), each an `Event` of `tensorflow/core/util/event.proto` as protobuf (`event`). Its wall time is the number of
//! the step: nothing in the file but `tokens per second` hangs on a clock, so that a run writes the same bytes twice.

mod event;
mod record;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use minrnn_train::TrainError;
use minrnn_train::trainer::{Metrics, StepLog};

use crate::files;
use event::{Event, Value};

/// Folder in that of a run; what TensorBoard is given with `--logdir`.
pub(crate) const FOLDER: &str = "tensorboard";
/// Without a time or a machine in it; TensorBoard looks for `tfevents` in names.
const NAME: &str = "events.out.tfevents.0.minrnn";
const NO_EVENT: &str = "it is no event file: a record of it is no event";
/// What a file begins with.
const VERSION: &str = "brain.Event:2";

/// The event file of a run.
#[derive(Debug)]
pub(crate) struct Board {
    path: PathBuf,
    file: BufWriter<File>,
    /// The last event that the file had, until another one is written.
    last: Option<Vec<u8>>,
}

/// Where the event file of the run in `dir` lies.
pub(crate) fn place(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join(NAME)
}

impl Board {
    /// An event file in the run's folder `dir` that goes on behind `done` steps; events of later ones are dropped.
    ///
    /// # Errors
    /// A file that is there and is no event file; [`TrainError::Io`].
    pub(crate) fn open(dir: &Path, done: u64) -> anyhow::Result<Self> {
        let path = place(dir);
        let folder = dir.join(FOLDER);
        for place in [&folder, &path] {
            refuse_link(place)?;
        }
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        let old = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => vec![],
            Err(e) => return Err(failed("read", &path)(e).into()),
        };
        let (kept, last) = kept(&old, done).map_err(|what| {
            anyhow::anyhow!(
                "{}: {what}; move it away, or train without --tensorboard",
                path.display()
            )
        })?;
        files::write(&path, &kept)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            last,
        })
    }

    /// A step with the tokens (or steps of input) of a second at this time.
    pub(crate) fn step(&mut self, log: StepLog, rate: f64) -> Result<(), TrainError> {
        let mut values = vec![
            Value::scalar("loss/training", log.loss),
            Value::scalar("learning rate", log.lr),
        ];
        // Of a step that was left out it is no number.
        if !log.skipped {
            values.push(Value::scalar("gradient norm", log.grad_norm));
        }
        values.extend(
            log.loss_scale
                .map(|scale| Value::scalar("loss scale", scale)),
        );
        values.push(Value::scalar("tokens per second", rate));
        // As metrics.jsonl: a step has the number that it is counted with from 0.
        self.write(log.step, &values)
    }

    /// An evaluation after so many steps, and what a text model writes then.
    pub(crate) fn eval(
        &mut self,
        step: u64,
        metrics: &Metrics,
        text: Option<&str>,
    ) -> Result<(), TrainError> {
        let mut values = vec![Value::scalar("loss/validation", metrics.loss)];
        values.extend(
            metrics
                .accuracy
                .map(|a| Value::scalar("accuracy/validation", a)),
        );
        values.extend(text.map(|text| Value::text("sample", text)));
        self.write(step, &values)?;
        self.flush()
    }

    /// The run goes on behind `done` steps again: events of later ones are dropped.
    pub(crate) fn rolled_back(&mut self, done: u64) -> Result<(), TrainError> {
        self.flush()?;
        let path = self.path.clone();
        let other = |what: String| failed("write", &path)(std::io::Error::other(what));
        let old = fs::read(&path).map_err(failed("read", &path))?;
        let (kept, _) = kept(&old, done).map_err(other)?;
        let other =
            |e: anyhow::Error| failed("write", &path)(std::io::Error::other(format!("{e:#}")));
        files::write(&path, &kept).map_err(other)?;
        let file = OpenOptions::new().append(true).open(&path);
        self.file = BufWriter::new(file.map_err(failed("open", &path))?);
        self.last = None;
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.file.flush().map_err(failed("write", &self.path))
    }

    fn write(&mut self, step: u64, values: &[Value]) -> Result<(), TrainError> {
        let record = record::framed(&Event::values(step, values));
        // The last evaluation, which a run that was at its end makes again.
        if self.last.take().is_some_and(|last| last == record) {
            return Ok(());
        }
        self.file
            .write_all(&record)
            .map_err(failed("write", &self.path))
    }
}

/// What is written here is replaced as a whole, and belongs to the run.
fn refuse_link(path: &Path) -> anyhow::Result<()> {
    match fs::read_link(path) {
        Ok(end) => Err(anyhow::anyhow!(
            "{} is a symbolic link, to {}; move it away, or train without --tensorboard",
            path.display(),
            end.display()
        )),
        Err(_) => Ok(()),
    }
}

/// What stays of a file, and the last event of it.
type Kept = (Vec<u8>, Option<Vec<u8>>);

/// What stays of a file when a run goes on behind `done` steps: the events of those steps, and of evaluations up to there. Of an empty
/// file the version that a file begins with.
fn kept(old: &[u8], done: u64) -> Result<Kept, String> {
    let mut kept = record::framed(&Event::version(VERSION));
    // Those of others have the time of their begin there.
    if !old.starts_with(&kept)
        && let Some(found) = record::next(old, 0)?
    {
        event::step(&old[found.data]).ok_or(NO_EVENT)?;
        return Err("it is an event file of another program".into());
    }
    let (mut at, mut last) = (0, None);
    while let Some(found) = record::next(old, at)? {
        let event = &old[found.data.clone()];
        let step = event::step(event).ok_or(NO_EVENT)?;
        let stays = step < done || (step == done && !event::has_tag(event, "loss/training"));
        if at > 0 && stays {
            kept.extend(&old[at..found.end]);
            last = Some(old[at..found.end].to_vec());
        }
        at = found.end;
    }
    Ok((kept, last))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TrainError {
    let path = path.to_path_buf();
    move |source| TrainError::Io {
        action,
        path,
        source,
    }
}
