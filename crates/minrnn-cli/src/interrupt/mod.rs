//! Signals that ask a program to end. While a [`Watch`] lives the first one asks and the second one ends it at once; else the
//! first one ends it.

#[cfg(unix)]
mod unix;

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

static WATCHED: AtomicBool = AtomicBool::new(false);
/// The signal that asked, 0 for none.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// When it came.
static FIRST: Mutex<Option<Instant>> = Mutex::new(None);
static HANDLER: Once = Once::new();
/// What is called once with the signal's name.
static TELL: Mutex<Option<Tell>> = Mutex::new(None);
static TELLING: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

type Tell = Box<dyn FnOnce(&str) + Send>;

/// Ctrl-C.
const INTERRUPT: i32 = 2;

/// Signals that come together are one: a shell and the terminal that closes both send theirs, `timeout` sends its own twice.
const TOGETHER: Duration = Duration::from_millis(100);

/// As long as it lives, signals are noted, and what runs must look at [`asked`], which may take it long: `tell` answers at once.
#[derive(Debug)]
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn new(tell: impl FnOnce(&str) + Send + 'static) -> Self {
        *held(&TELL) = Some(Box::new(tell));
        WATCHED.store(true, Ordering::SeqCst);
        HANDLER.call_once(|| {
            // Where no handler can be set, a signal ends the program at once, as it does everywhere.
            let _ = ctrlc::set_handler(|| seen(INTERRUPT));
            #[cfg(unix)]
            let _ = unix::listen(seen);
        });
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
        *held(&TELL) = None;
        // What was begun to be said is said before anything else is.
        let telling = held(&TELLING).take();
        telling.map(JoinHandle::join);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done at each signal, on a thread that does nothing else.
fn seen(signal: i32) {
    let mut first = held(&FIRST);
    let together = first.is_some_and(|at| at.elapsed() < TOGETHER);
    if !WATCHED.load(Ordering::SeqCst) || (first.is_some() && !together) {
        end(code(signal));
    }
    if first.is_none() {
        *first = Some(Instant::now());
        ASKED.store(signal, Ordering::SeqCst);
        answer(name());
    }
}

/// On a thread of its own: where nobody reads, a second signal ends all the same.
fn answer(name: &'static str) {
    let Some(tell) = held(&TELL).take() else {
        return;
    };
    let teller = std::thread::Builder::new().name("answer".into());
    *held(&TELLING) = teller.spawn(move || tell(name)).ok();
}

/// Ends at once: nothing that hangs is waited for.
fn end(code: i32) {
    #[cfg(unix)]
    signal_hook::low_level::exit(code);
    #[cfg(not(unix))]
    std::process::exit(code);
}

/// Whether a signal asks to end.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst) != 0
}

/// What asked, for messages.
pub(crate) fn name() -> &'static str {
    match ASKED.load(Ordering::SeqCst) {
        1 => "SIGHUP",
        15 => "SIGTERM",
        _ => "Ctrl-C",
    }
}

/// The exit code of a program that a signal ended, as shells have it.
pub(crate) fn exit_code() -> u8 {
    match ASKED.load(Ordering::SeqCst) {
        0 => code(INTERRUPT) as u8,
        signal => code(signal) as u8,
    }
}

fn code(signal: i32) -> i32 {
    128 + signal
}
