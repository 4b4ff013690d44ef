//! Progress: a bar on a terminal, plain lines now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between plain lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Progress of something with a known number of parts.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines {
        what: &'static str,
        total: u64,
        last: Instant,
    },
}

impl Progress {
    pub(crate) fn hidden() -> Self {
        Self {
            shown: Shown::Nothing,
        }
    }

    pub(crate) fn bar(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let template = "{prefix} [{bar:24}] {pos}/{len}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what);
        Self {
            shown: Shown::Bar(bar),
        }
    }

    pub(crate) fn lines(what: &'static str, total: u64) -> Self {
        Self {
            shown: Shown::Lines {
                what,
                total,
                last: Instant::now(),
            },
        }
    }

    /// `done` parts are done; the message is made only where it is shown.
    pub(crate) fn set(&mut self, done: u64, message: impl FnOnce() -> String) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(message());
            }
            Shown::Lines { what, total, last } => {
                if last.elapsed() >= PAUSE {
                    *last = Instant::now();
                    line(&format!("{what} {done}/{total}  {}", message()));
                }
            }
        }
    }

    /// [`Self::set`] where the number of parts is known only now.
    pub(crate) fn set_of(&mut self, done: u64, all: u64, message: impl FnOnce() -> String) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_length(all),
            Shown::Lines { total, .. } => *total = all,
        }
        self.set(done, message);
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.println(text),
            Shown::Lines { .. } => line(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn line(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Speed and time left of steps that are about equally long.
#[derive(Debug)]
pub(crate) struct Pace {
    last: Instant,
    /// Smoothed seconds and tokens of a step.
    seconds: f64,
    tokens: f64,
}

/// Weight of the newest step.
const NEWEST: f64 = 0.05;

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            last: Instant::now(),
            seconds: 0.0,
            tokens: 0.0,
        }
    }

    /// Begins to measure a step now: for pauses that belong to none.
    pub(crate) fn restart(&mut self) {
        self.last = Instant::now();
    }

    /// A step of so many tokens is done.
    pub(crate) fn step(&mut self, tokens: usize) {
        let seconds = self.last.elapsed().as_secs_f64();
        self.restart();
        let weight = if self.seconds == 0.0 { 1.0 } else { NEWEST };
        self.seconds += weight * (seconds - self.seconds);
        self.tokens += weight * (tokens as f64 - self.tokens);
    }

    /// Tokens a second.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.tokens / self.seconds
        } else {
            0.0
        }
    }

    /// Time for so many more steps.
    pub(crate) fn left(&self, steps: u64) -> Duration {
        Duration::try_from_secs_f64(steps as f64 * self.seconds).unwrap_or(Duration::MAX)
    }
}

/// `45 s`, `3 min 07 s`, `2 h 05 min`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// `950`, `61.2 k`, `3.4 M`.
pub(crate) fn short(x: f64) -> String {
    match x {
        x if x >= 1e6 => format!("{:.1} M", x / 1e6),
        x if x >= 1e4 => format!("{:.1} k", x / 1e3),
        x => format!("{x:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_short() {
        let d = |s| duration(Duration::from_secs(s));
        assert_eq!(
            (d(59), d(187), d(7500)),
            ("59 s".into(), "3 min 07 s".into(), "2 h 05 min".into())
        );
        assert_eq!(
            (short(950.4), short(61_234.0), short(3.44e6)),
            ("950".into(), "61.2 k".into(), "3.4 M".into())
        );
    }

    #[test]
    fn pace_follows_the_steps() {
        let mut pace = Pace::new();
        assert_eq!((pace.rate(), pace.left(5)), (0.0, Duration::ZERO));
        std::thread::sleep(Duration::from_millis(20));
        pace.step(100);
        assert!(pace.rate() > 0.0 && pace.rate() <= 5000.0);
        assert!(pace.left(10) >= Duration::from_millis(200));
        assert!(pace.left(u64::MAX) > pace.left(10));
    }
}
