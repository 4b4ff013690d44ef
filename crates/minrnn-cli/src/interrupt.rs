//! Ctrl-C: while a [`Watch`] lives the first one asks and the second one ends the program; else the first one ends it.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static WATCHED: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);
static HANDLER: Once = Once::new();

/// As long as it lives, Ctrl-C is noted, and what runs must look at [`asked`].
#[derive(Debug)]
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn new() -> Self {
        WATCHED.store(true, Ordering::SeqCst);
        HANDLER.call_once(|| {
            // Where no handler can be set, Ctrl-C ends the program at once, as it does everywhere.
            let _ = ctrlc::set_handler(|| {
                if !WATCHED.load(Ordering::SeqCst) || ASKED.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            });
        });
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// Whether Ctrl-C was pressed.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
