//! A training run in its folder, with progress, checkpoints and Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use minrnn_train::TrainError;
use minrnn_train::checkpoint::BestMetric;
use minrnn_train::trainer::{Control, Event, Metrics, StepLog, Trainer};

use crate::files;
use crate::interrupt::{self, Watch};
use crate::metrics::Log;
use crate::progress::{Pace, Progress, duration, short};
use crate::ui::Ui;

/// Time between checkpoints where evaluations are far apart.
const SAVE: Duration = Duration::from_secs(300);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The last evaluation, over the whole validation part; `None` after Ctrl-C.
    pub(crate) metrics: Option<Metrics>,
    /// The best evaluation of the whole run.
    pub(crate) best: Option<BestMetric>,
    /// Tokens a second, the last ones counting most.
    pub(crate) rate: f64,
    /// Time taken.
    pub(crate) time: Duration,
}

/// Trains to the end. In `dir`: `last` after each evaluation and at Ctrl-C, `best` whenever the validation loss is the lowest so far, and the log.
pub(crate) fn fit(trainer: &mut Trainer, dir: &Path, ui: &Ui) -> Result<Ended> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let _watch = Watch::new();
    let steps = trainer.config().train.steps;
    let mut watcher = Watcher {
        dir: dir.to_path_buf(),
        log: Log::open(dir, trainer.steps_done())?,
        progress: ui.progress("step", steps),
        pace: Pace::new(),
        saved: Instant::now(),
        steps,
        interrupted: false,
    };
    let start = Instant::now();
    let metrics = match trainer.fit(&mut |trainer, event| watcher.see(trainer, event)) {
        Ok(metrics) => Some(metrics),
        Err(_) if watcher.interrupted => None,
        Err(error) => return Err(watcher.explain(error)),
    };
    watcher.log.flush()?;
    let best = trainer.checkpoint()?.trainer.and_then(|t| t.best);
    Ok(Ended {
        metrics,
        best,
        rate: watcher.pace.rate(),
        time: start.elapsed(),
    })
}

struct Watcher {
    dir: PathBuf,
    log: Log,
    progress: Progress,
    pace: Pace,
    saved: Instant,
    steps: u64,
    interrupted: bool,
}

impl Watcher {
    fn see(&mut self, trainer: &Trainer, event: Event) -> Result<Control, TrainError> {
        match event {
            Event::Step(log) => self.step(trainer, log)?,
            Event::Eval {
                step,
                metrics,
                best,
            } => self.eval(trainer, step, metrics, best)?,
        }
        if interrupt::asked() && trainer.steps_done() < self.steps {
            self.save(trainer, files::LAST)?;
            self.interrupted = true;
            // An error and no `Control::Stop`, which would go through the whole validation part first.
            return Err(TrainError::Config {
                field: "interrupt".into(),
                message: "Ctrl-C".into(),
            });
        }
        Ok(Control::Continue)
    }

    fn step(&mut self, trainer: &Trainer, log: StepLog) -> Result<(), TrainError> {
        self.log.step(log)?;
        self.pace.step(log.tokens);
        let (pace, left) = (&self.pace, self.steps - trainer.steps_done());
        self.progress.set(log.step + 1, || {
            let StepLog { loss, lr, .. } = log;
            format!(
                "loss {loss:.4}  lr {lr:.1e}  {} tokens/s  {} left",
                short(pace.rate()),
                duration(pace.left(left))
            )
        });
        if self.saved.elapsed() >= SAVE {
            self.save(trainer, files::LAST)?;
        }
        Ok(())
    }

    fn eval(
        &mut self,
        trainer: &Trainer,
        step: u64,
        metrics: Metrics,
        best: bool,
    ) -> Result<(), TrainError> {
        self.log.eval(step, metrics, best)?;
        if best {
            self.save(trainer, files::BEST)?;
        }
        self.save(trainer, files::LAST)?;
        let mark = if best { "  best so far" } else { "" };
        self.progress
            .note(&format!("step {step}  {}{mark}", said(&metrics)));
        self.pace.restart();
        Ok(())
    }

    fn save(&mut self, trainer: &Trainer, name: &str) -> Result<(), TrainError> {
        self.saved = Instant::now();
        self.log.flush()?;
        trainer.checkpoint()?.save(&self.dir.join(name))
    }

    /// A failed run, and what is left of it.
    fn explain(&self, error: TrainError) -> anyhow::Error {
        let last = self.dir.join(files::LAST);
        let error = anyhow::Error::new(error);
        if last.is_dir() {
            error.context(format!(
                "training stopped; {} is the checkpoint before that",
                last.display()
            ))
        } else {
            error.context("training stopped before its first checkpoint")
        }
    }
}

/// `validation loss 0.1234, accuracy 98.70 %`.
pub(crate) fn said(metrics: &Metrics) -> String {
    let accuracy = metrics
        .accuracy
        .map_or(String::new(), |a| format!(", accuracy {}", percent(a)));
    format!("validation loss {:.4}{accuracy}", metrics.loss)
}

/// A share, never rounded up to 100 %.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = (share * 1e4).floor();
    format!("{:.2} %", hundredths / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_better_than_they_are() {
        assert_eq!(
            [1.0, 0.99999, 0.5].map(percent),
            ["100.00 %", "99.99 %", "50.00 %"]
        );
    }
}
