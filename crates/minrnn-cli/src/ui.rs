//! What people see: results on stdout, the rest on stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};

use crate::progress::Progress;

/// The two streams.
#[derive(Debug)]
pub(crate) struct Ui {
    quiet: bool,
}

/// What is said where a result is lost.
pub(crate) const NO_STDOUT: &str = "cannot write to stdout";

/// How what goes to stdout may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Columns of the terminal; none where stdout is no terminal: nothing is cut or wrapped there.
    pub(crate) width: Option<usize>,
    /// Whether colours are shown, and wanted.
    pub(crate) colour: bool,
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
            Err(e) => Err(e).context(NO_STDOUT),
        }
    }

    /// A result with names that others chose: on a terminal their control characters are shown and not obeyed, elsewhere every byte stays.
    pub(crate) fn print_names(&self, text: &str) -> Result<()> {
        self.print(&stdout_text(text, io::stdout().is_terminal()))
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

    /// By the terminal, and by `NO_COLOR` (<https://no-color.org>).
    pub(crate) fn look(&self) -> Look {
        let terminal = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Look {
            width: comfy_table::Table::new()
                .width()
                .filter(|_| terminal)
                .map(usize::from),
            colour: terminal && !unwanted,
        }
    }

    /// Progress over `total` parts of `what`.
    pub(crate) fn progress(&self, what: &'static str, total: u64) -> Progress {
        // A terminal that cannot move its cursor would show each state of a bar.
        let moves = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        match (self.quiet, moves && io::stderr().is_terminal()) {
            (true, _) => Progress::hidden(),
            (_, true) => Progress::bar(what, total),
            (_, false) => Progress::lines(what, total),
        }
    }
}

fn stdout_text(text: &str, terminal: bool) -> Cow<'_, str> {
    match terminal {
        true => Cow::Owned(visible(text)),
        false => Cow::Borrowed(text),
    }
}

/// Control characters, and those that turn the direction of a text, as they would be written in source code; line breaks and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => all.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => all.extend(c.escape_unicode()),
            c if c.is_control() => all.extend(c.escape_default()),
            c => all.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters_and_a_file_every_byte() {
        let text = "run,label,p_\u{1b}[2Jwet\n\"a\tb\",é,\r\u{9b}\u{7f}\u{202e}\u{0}\n";
        assert_eq!(stdout_text(text, false), text);
        let shown = "run,label,p_\\u{1b}[2Jwet\n\"a\tb\",é,\\r\\u{9b}\\u{7f}\\u{202e}\\u{0}\n";
        assert_eq!(stdout_text(text, true), shown);
    }
}
