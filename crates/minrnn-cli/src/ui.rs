//! What people see: results on stdout, the rest on stderr.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};

use crate::progress::Progress;

/// The two streams.
#[derive(Debug)]
pub(crate) struct Ui {
    quiet: bool,
}

impl Ui {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// A result, on stdout, without a line break of its own. A reader that has gone away (`| head`) has had enough: no error.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        self.stream(text).map(drop)
    }

    /// The same, and whether somebody still reads.
    pub(crate) fn stream(&self, text: &str) -> Result<bool> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(e) => Err(e).context("cannot write to stdout"),
        }
    }

    /// A line of news on stderr.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// A line on stderr, also with `--quiet`.
    pub(crate) fn error(&self, text: &str) {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Progress over `total` parts of `what`.
    pub(crate) fn progress(&self, what: &'static str, total: u64) -> Progress {
        match (self.quiet, io::stderr().is_terminal()) {
            (true, _) => Progress::hidden(),
            (_, true) => Progress::bar(what, total),
            (_, false) => Progress::lines(what, total),
        }
    }
}
