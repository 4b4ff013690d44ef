//! Progress: a bar on a terminal, plain lines now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between plain lines.
const PAUSE: Duration = Duration::from_secs(5);
/// Time between new messages of a bar; more often nobody reads.
const FRAME: Duration = Duration::from_millis(80);
/// What turns goes on turning where a part takes long.
const TICK: Duration = Duration::from_millis(500);
/// Columns from which on there is room for a bar.
const WIDE: u16 = 100;

/// Progress of something with a known number of parts.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    shown: Shown,
    last: Option<Instant>,
    /// When work began whose parts are told as shares.
    begun: Option<Instant>,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    Bar {
        bar: ProgressBar,
        width: fn() -> u16,
        wide: Option<bool>,
    },
    Lines,
}

impl Progress {
    fn new(what: &'static str, total: u64, shown: Shown) -> Self {
        Self {
            what,
            total,
            shown,
            last: None,
            begun: None,
        }
    }

    pub(crate) fn hidden() -> Self {
        Self::new("", 0, Shown::Nothing)
    }

    pub(crate) fn bar(what: &'static str, total: u64) -> Self {
        let width = || Term::stderr().size().1;
        let progress = Self::bar_on(ProgressDrawTarget::stderr(), width, what, total);
        if let Shown::Bar { bar, .. } = &progress.shown {
            bar.enable_steady_tick(TICK);
        }
        progress
    }

    fn bar_on(
        target: ProgressDrawTarget,
        width: fn() -> u16,
        what: &'static str,
        total: u64,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let wide = None;
        let mut progress = Self::new(what, total, Shown::Bar { bar, width, wide });
        progress.set(0, String::new);
        progress
    }

    pub(crate) fn lines(what: &'static str, total: u64) -> Self {
        let mut progress = Self::new(what, total, Shown::Lines);
        progress.last = Some(Instant::now());
        progress
    }

    /// `done` parts are done; the message is made only where it is shown.
    pub(crate) fn set(&mut self, done: u64, message: impl FnOnce() -> String) {
        let pause = match &self.shown {
            Shown::Nothing => return,
            Shown::Bar { .. } => FRAME,
            Shown::Lines => PAUSE,
        };
        if self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        self.last = Some(Instant::now());
        // A line that is cut off loses its end, so what says most comes first.
        let text = match self.begun {
            None => format!("{} {done}/{}  {}", self.what, self.total, message()),
            Some(_) => {
                let percent = 100 * done / self.total.max(1);
                format!("{} {percent} %  {}", self.what, message())
            }
        };
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar { bar, width, wide } => {
                let now = width() >= WIDE;
                if *wide != Some(now) {
                    *wide = Some(now);
                    bar.set_style(style(now));
                }
                bar.set_position(done);
                bar.set_message(text);
            }
            Shown::Lines => line(&text),
        }
    }

    /// [`Self::set`] where the number of parts is known only now.
    pub(crate) fn set_of(&mut self, done: u64, all: u64, message: impl FnOnce() -> String) {
        if let Shown::Bar { bar, .. } = &self.shown {
            bar.set_length(all);
        }
        self.total = all;
        self.set(done, message);
    }

    /// Work that is done of all, with the time that the rest takes at the pace until now.
    pub(crate) fn share(&mut self, done: u64, all: u64, message: impl FnOnce() -> String) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if done == 0 {
            // Parts of another work that follow begin at a pace of their own.
            self.begun = Some(Instant::now());
        }
        let left = left(begun.elapsed(), done, all);
        self.set_of(done, all, || match left {
            Some(left) => format!("about {} left  {}", duration(left), message()),
            None => message(),
        });
    }

    /// Says a line that stays, from any thread, and also where progress is hidden.
    pub(crate) fn teller(&self) -> impl Fn(&str) + Send + 'static {
        let bar = match &self.shown {
            Shown::Bar { bar, .. } => Some(bar.clone()),
            Shown::Nothing | Shown::Lines => None,
        };
        move |text| match &bar {
            Some(bar) => bar.println(text),
            None => line(text),
        }
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar { bar, .. } => bar.println(text),
            Shown::Lines => line(text),
        }
    }
}

/// The least that must be done before anything is said of the time left.
const TELLING: f64 = 0.02;

/// Time for the rest of some work of which this much is done.
fn left(taken: Duration, done: u64, all: u64) -> Option<Duration> {
    let share = done as f64 / all.max(1) as f64;
    if !(TELLING..1.0).contains(&share) {
        return None;
    }
    Duration::try_from_secs_f64(taken.as_secs_f64() * (1.0 - share) / share).ok()
}

/// One line, cut off at the terminal's edge.
fn style(wide: bool) -> ProgressStyle {
    let template = match wide {
        true => "{spinner} [{bar:24}] {wide_msg}",
        false => "{spinner} {wide_msg}",
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("=> ")
        .tick_chars("-\\|/ ")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar { bar, .. } = &self.shown {
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
    use std::sync::{Arc, Mutex};

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

    /// A terminal that remembers what was written to it.
    #[derive(Debug, Clone)]
    struct Screen {
        width: u16,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            self.width
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.write_str(s)
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.written.lock().unwrap().push(s.to_owned());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a bar writes to a terminal of so many columns.
    fn drawn(width: u16, size: fn() -> u16) -> Vec<String> {
        let written = Arc::new(Mutex::new(vec![]));
        let screen = Screen {
            width,
            written: written.clone(),
        };
        let target = ProgressDrawTarget::term_like(Box::new(screen));
        let mut progress = Progress::bar_on(target, size, "step", 200_000);
        std::thread::sleep(FRAME);
        let message = "loss 0.1234  3 h 05 min left  61.2 k time steps/s  lr 1.0e-3";
        progress.set(123_456, || message.to_owned());
        drop(progress);
        written.lock().unwrap().clone()
    }

    #[test]
    fn a_bar_never_wraps_and_says_most_first() {
        for (width, size) in [
            (30, (|| 30) as fn() -> u16),
            (60, || 60),
            (99, || 99),
            (120, || 120),
        ] {
            let written = drawn(width, size);
            assert!(
                written.iter().all(|l| l.chars().count() <= width.into()),
                "{written:?}"
            );
            let last = |text: &str| written.iter().any(|l| l.contains(text));
            assert!(last("step 123456/200000"), "{written:?}");
            assert_eq!(last("[==="), width >= WIDE, "{written:?}");
            assert_eq!(last("3 h 05 min left"), width >= 60, "{written:?}");
        }
    }

    #[test]
    fn the_time_left_follows_the_share_that_is_done() {
        let after = |done| left(Duration::from_secs(30), done, 1000);
        assert_eq!(after(250), Some(Duration::from_secs(90)));
        assert_eq!(after(750), Some(Duration::from_secs(10)));
        assert_eq!((after(0), after(19), after(1000)), (None, None, None));
        assert_eq!(left(Duration::ZERO, 0, 0), None);
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
