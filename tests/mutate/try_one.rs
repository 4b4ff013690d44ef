//! One file, opened and run, with what it took.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use minrnn_runtime::{Error, ErrorKind, Form, Input, InputSpec, Model, Options, Session};
use peak_alloc::PeakAlloc;

/// Memory that a file may take beyond its own size.
pub(crate) const MEMORY: usize = 64 << 20;
/// What a caller who opens files of strangers lets them ask for ([`Options::memory`]).
const STRANGERS: u64 = 32 << 20;
/// Time that a file may take.
pub(crate) const TIME: Duration = Duration::from_secs(1);
/// Rows or steps that are tried; files that ask for more are only opened.
const MOST: usize = 64;

/// How far a file came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Refused when it was opened, by a named error.
    Refused(&'static str),
    /// Opened; the engine made no plan of it, or the run was refused or failed, by a named error.
    Failed(&'static str),
    /// Ran, a sequence or a step.
    Ran,
    /// Only opened: it takes no batch or length as small as those tried.
    Opened,
}

/// What a file took.
pub(crate) struct Took {
    pub(crate) end: Option<End>,
    pub(crate) open: Duration,
    pub(crate) all: Duration,
    /// Bytes at most, beyond those at the start.
    pub(crate) memory: usize,
    /// Panics that the runtime made errors of.
    pub(crate) panics: usize,
}

static SITES: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts panics by place instead of printing them.
pub(crate) fn count_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANICS.set(PANICS.get() + 1);
        let place = info.location().map_or("?".into(), |l| {
            let file = l.file().rsplit("/src/").next().unwrap_or_default();
            let krate = l.file().rsplit("/src/").nth(1).unwrap_or_default();
            let krate = krate.rsplit('/').next().unwrap_or_default();
            format!("{krate}/{file}:{}", l.line())
        });
        let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
        *sites.entry(place).or_default() += 1;
    }));
}

/// Panics so far, by place.
pub(crate) fn sites() -> Vec<(String, u64)> {
    let sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    sites.iter().map(|(s, n)| (s.clone(), *n)).collect()
}

fn word(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Read => "read",
        ErrorKind::Foreign => "foreign",
        ErrorKind::Contract => "contract",
        ErrorKind::Load => "load",
        ErrorKind::Input => "input",
        ErrorKind::Run => "run",
        _ => "other",
    }
}

/// Time of this thread alone, where the system counts it: another program's share is no fault of a file.
struct Clock {
    wall: Instant,
    cpu: Option<Duration>,
}

impl Clock {
    fn now() -> Self {
        Self {
            wall: Instant::now(),
            cpu: on_cpu(),
        }
    }

    fn elapsed(&self) -> Duration {
        let wall = self.wall.elapsed();
        if wall < TIME {
            return wall;
        }
        let cpu = on_cpu().zip(self.cpu);
        cpu.map_or(wall, |(now, then)| now.saturating_sub(then).min(wall))
    }
}

fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos)).filter(|d| !d.is_zero())
}

/// Opens the file; runs it for a few steps, and a session for one.
pub(crate) fn try_one(bytes: &[u8], memory: &PeakAlloc) -> Took {
    measured(memory, |opened| {
        let mut options = Options::default();
        options.memory = STRANGERS;
        let model = Model::from_bytes_with(bytes, &options);
        opened();
        match model {
            Ok(model) => run(model).unwrap_or_else(|e| End::Failed(word(&e))),
            Err(error) => End::Refused(word(&error)),
        }
    })
}

/// What `work` takes; it calls what it is given when the file is open. `end` is `None` where a panic came out.
pub(crate) fn measured(memory: &PeakAlloc, work: impl FnOnce(&mut dyn FnMut()) -> End) -> Took {
    memory.reset_peak_usage();
    let (before, panics) = (memory.current_usage(), PANICS.get());
    let start = Clock::now();
    let mut open = Duration::ZERO;
    let end = catch_unwind(AssertUnwindSafe(|| work(&mut || open = start.elapsed())));
    let all = start.elapsed();
    Took {
        end: end.ok(),
        open: if open.is_zero() { all } else { open },
        all,
        memory: memory.peak_usage().saturating_sub(before),
        panics: PANICS.get() - panics,
    }
}

fn run(model: Model) -> Result<End, Error> {
    let info = model.info();
    let batch = info.batch.unwrap_or(2);
    let time = info.seq_len.unwrap_or(info.longest().unwrap_or(3).min(3));
    let width = match info.input {
        InputSpec::Tokens { .. } => 1,
        InputSpec::Features { width } => width,
    };
    if batch > MOST || time > MOST {
        return Ok(End::Opened);
    }
    let ids = vec![1i64; batch * time];
    let values = vec![0.5f32; batch * time * width];
    let input = match info.input {
        InputSpec::Tokens { .. } => Input::Tokens {
            ids: &ids,
            batch,
            time,
        },
        InputSpec::Features { .. } => Input::Features {
            values: &values,
            batch,
            time,
            width,
        },
    };
    let state = model.initial_state(batch)?;
    let (output, _) = model.run(input, &state)?;
    assert_eq!(output.values.len(), output.shape.iter().product::<usize>());
    if info.form == Form::Step {
        let mut session = Session::new(Arc::new(model), batch)?;
        match input {
            Input::Tokens { ids, .. } => session.step_tokens(ids)?,
            Input::Features { values, .. } => session.step_features(values)?,
        };
    }
    Ok(End::Ran)
}
