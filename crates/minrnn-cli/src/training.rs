//! A training run in its folder, with progress, checkpoints and signals that end it.

mod show;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use minrnn_model::graph::Input;
use minrnn_runtime::text::{Continuation, Sampler};
use minrnn_train::TrainError;
use minrnn_train::checkpoint::BestMetric;
use minrnn_train::generate::Generator;
use minrnn_train::trainer::{Control, Event, Metrics, RolledBack, StepLog, Trainer};

use crate::board::Board;
use crate::codec::Words;
use crate::files;
use crate::gap::Gap;
use crate::interrupt::{self, Watch};
use crate::memory;
use crate::metrics::Log;
use crate::progress::{Pace, Progress, duration, short};
use crate::table::size;
use crate::ui::Ui;
use show::norm;
pub(crate) use show::{number, percent, said};

/// Time between checkpoints where evaluations are far apart.
const SAVE: Duration = Duration::from_secs(300);
/// An evaluation that will take longer has a checkpoint before it.
const LONG: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whether a signal or the deadline ended it.
    pub(crate) interrupted: bool,
    /// The last evaluation, over the whole validation part; `None` after a signal, or without such a part.
    pub(crate) metrics: Option<Metrics>,
    /// The best evaluation of the whole run.
    pub(crate) best: Option<BestMetric>,
    /// `61.2 k tokens/s`: all work of the run by all its time, evaluations and checkpoints too.
    pub(crate) speed: String,
    /// Time taken, that before a resume too.
    pub(crate) time: Duration,
}

/// Trains to the end. In `dir`: `last` before a long evaluation, after each evaluation and at a signal, `best` whenever the
/// validation loss is the lowest so far, the log, and with `tensorboard` its event file.
pub(crate) fn fit(trainer: &mut Trainer, dir: &Path, tensorboard: bool, ui: &Ui) -> Result<Ended> {
    fit_until(trainer, dir, tensorboard, None, ui)
}

/// The same; at `deadline` it saves and ends, as at a signal.
pub(crate) fn fit_until(
    trainer: &mut Trainer,
    dir: &Path,
    tensorboard: bool,
    deadline: Option<Instant>,
    ui: &Ui,
) -> Result<Ended> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let steps = trainer.config().train.steps;
    let progress = ui.progress("step", steps);
    let tell = progress.teller();
    let watch = Watch::new(move |signal| {
        tell(&format!(
            "{signal}: stops and saves when this step, or this batch of an evaluation, is done; once more ends at once and saves nothing"
        ));
    });
    let mut watcher = Watcher {
        dir: dir.to_path_buf(),
        log: Log::open(dir, trainer.steps_done())?,
        board: match tensorboard {
            true => Some(Board::open(dir, trainer.steps_done())?),
            false => None,
        },
        progress,
        pace: Pace::new(),
        gap: Gap::default(),
        saved: Instant::now(),
        evaluating: None,
        each: None,
        steps,
        unit: unit(trainer),
        deadline,
        interrupted: false,
    };
    let metrics = match trainer.fit(&mut |trainer, event| watcher.see(trainer, event)) {
        Ok(None) => {
            watcher.save(trainer, files::LAST)?;
            None
        }
        Ok(metrics) => metrics,
        Err(_) if watcher.interrupted => None,
        Err(error) => return Err(watcher.explain(error)),
    };
    drop(watch);
    watcher.log.flush()?;
    if let Some(board) = &mut watcher.board {
        board.flush()?;
    }
    let best = trainer.checkpoint()?.trainer.and_then(|t| t.best);
    let (time, work) = watcher.log.whole();
    Ok(Ended {
        interrupted: watcher.interrupted,
        metrics,
        best,
        speed: format!("{} {}", short(work / time.max(1e-9)), watcher.unit),
        time: Duration::try_from_secs_f64(time).unwrap_or_default(),
    })
}

/// What a step of input is called.
fn unit(trainer: &Trainer) -> &'static str {
    match trainer.model().graph().input() {
        Input::Tokens { .. } => "tokens/s",
        Input::Features { .. } => "time steps/s",
    }
}

struct Watcher {
    dir: PathBuf,
    log: Log,
    board: Option<Board>,
    progress: Progress,
    pace: Pace,
    gap: Gap,
    saved: Instant,
    /// When the evaluation that goes on began, and how many sequences it has.
    evaluating: Option<(Instant, u64)>,
    /// Seconds that each sequence of the last one took. The next one may have more: the one at the end has all.
    each: Option<f64>,
    steps: u64,
    unit: &'static str,
    deadline: Option<Instant>,
    interrupted: bool,
}

impl Watcher {
    fn see(&mut self, trainer: &Trainer, event: Event) -> Result<Control, TrainError> {
        let at_end = match event {
            Event::Step(log) => {
                self.step(trainer, log)?;
                // The rest of the steps that a device took in one go is done too, and belongs into the log.
                if log.step + 1 < trainer.steps_done() {
                    return Ok(Control::Continue);
                }
                false
            }
            Event::RolledBack(back) => {
                self.rolled_back(trainer, back)?;
                false
            }
            Event::Evaluating { done, all } => {
                self.evaluating(trainer, done, all)?;
                false
            }
            Event::Eval {
                step,
                metrics,
                best,
            } => {
                self.eval(trainer, step, metrics, best)?;
                step >= self.steps
            }
        };
        let over = self.deadline.is_some_and(|at| Instant::now() >= at);
        if (interrupt::asked() || over) && !at_end {
            self.save(trainer, files::LAST)?;
            self.interrupted = true;
            // An error and no `Control::Stop`, which would go through the whole validation part first.
            return Err(TrainError::Config {
                field: "interrupt".into(),
                message: if interrupt::asked() {
                    interrupt::name()
                } else {
                    "the deadline"
                }
                .into(),
            });
        }
        Ok(Control::Continue)
    }

    fn step(&mut self, trainer: &Trainer, log: StepLog) -> Result<(), TrainError> {
        self.log.step(log)?;
        self.gap.step(log.loss);
        self.pace.step(log.tokens);
        if let Some(board) = &mut self.board {
            board.step(log, self.pace.rate())?;
        }
        let (pace, unit) = (&self.pace, self.unit);
        let left = self.steps.saturating_sub(log.step + 1);
        self.progress.set(log.step + 1, || {
            let StepLog {
                loss,
                lr,
                grad_norm,
                skipped,
                ..
            } = log;
            let memory = memory::peak().map_or(String::new(), |m| format!("  memory {}", size(m)));
            format!(
                "{}loss {}  {} left  {} {unit}  lr {lr:.1e}  gradient {}{}{memory}",
                normalised(trainer),
                number(loss),
                duration(pace.left(left)),
                short(pace.rate()),
                if skipped {
                    "beyond float16".into()
                } else {
                    norm(grad_norm)
                },
                scaled(trainer),
            )
        });
        if self.saved.elapsed() >= SAVE && log.step + 1 == trainer.steps_done() {
            self.save(trainer, files::LAST)?;
        }
        Ok(())
    }

    fn rolled_back(&mut self, trainer: &Trainer, back: RolledBack) -> Result<(), TrainError> {
        let what = trainer.trouble().unwrap_or("a value");
        self.log.rolled_back(&self.dir, back, what)?;
        if let Some(board) = &mut self.board {
            board.rolled_back(back.to)?;
        }
        let RolledBack {
            failed,
            to,
            times: [times, most],
            factor,
        } = back;
        // What somebody has to know: also with --quiet.
        self.progress.teller()(&format!(
            "step {failed}: {what} is not finite; rolled back to step {to}, learning rates times {factor} from here on (roll back {times} of at most {most})"
        ));
        self.pace.restart();
        Ok(())
    }

    fn evaluating(&mut self, trainer: &Trainer, done: u64, all: u64) -> Result<(), TrainError> {
        if done == 0 {
            self.evaluating = Some((Instant::now(), all));
            // The first one may take long.
            let long = |each| each * all as f64 >= LONG.as_secs_f64();
            if self.each.is_none_or(long) {
                self.save(trainer, files::LAST)?;
            }
        }
        self.progress.set(trainer.steps_done(), || {
            format!("validation, {done} of {all} sequences")
        });
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
        if let Some(board) = &mut self.board {
            board.eval(step, &metrics, sample(trainer)?.as_deref())?;
        }
        if let Some((began, all)) = self.evaluating.take() {
            self.each = Some(began.elapsed().as_secs_f64() / all.max(1) as f64);
        }
        if best {
            self.save(trainer, files::BEST)?;
        }
        self.save(trainer, files::LAST)?;
        let averaged = match trainer.config().train.average {
            Some(_) => " (averaged weights)",
            None => "",
        };
        let mark = if best { "  best so far" } else { "" };
        self.progress
            .note(&format!("step {step}  {}{averaged}{mark}", said(&metrics)));
        // Squared errors have no scale by which a gap is wide, and those of steps may be in other units; losses of weighted classes are
        // other means than those of evaluations.
        let weighted = !trainer.config().train.loss.class_weights.is_empty();
        if metrics.accuracy.is_some() && !weighted {
            let dropout = trainer.config().model.dropout;
            if let Some(warning) = self.gap.eval(metrics.loss, dropout) {
                // No news, but what somebody has to know: also with --quiet.
                self.progress.teller()(&warning);
            }
        }
        self.pace.restart();
        Ok(())
    }

    fn save(&mut self, trainer: &Trainer, name: &str) -> Result<(), TrainError> {
        self.saved = Instant::now();
        self.log.flush()?;
        if let Some(board) = &mut self.board {
            board.flush()?;
        }
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

/// Tokens of a text that is written at an evaluation.
const SAMPLE: usize = 200;

/// What a text model writes now; none of other models. The same seed each time, so that what differs is the model.
fn sample(trainer: &Trainer) -> Result<Option<String>, TrainError> {
    let Some(words) = trainer.task().vocabulary() else {
        return Ok(None);
    };
    let params = trainer.params()?;
    let mut generator = Generator::new(trainer.model(), &params, &candle_core::Device::Cpu)?;
    let (words, failed) = (Words(words.clone()), |e: minrnn_runtime::Error| {
        TrainError::Config {
            field: "sample".into(),
            message: e.to_string(),
        }
    });
    let mut next = vec![words.first()];
    let sampler = Sampler::new(0.8, 0).map_err(failed)?;
    let mut continuation = Continuation::new(sampler, &next, vec![], None).map_err(failed)?;
    let mut text = String::new();
    let most = trainer.model().graph().longest();
    for _ in 0..most.map_or(SAMPLE, |most| SAMPLE.min(most)) {
        let logits = generator.feed(&next)?;
        let taken = continuation.take(&words, &logits).map_err(failed)?;
        text.push_str(&taken.text);
        next = vec![taken.id];
    }
    text.push_str(&continuation.rest(&words).map_err(failed)?);
    Ok(Some(text))
}

/// What a step's loss is measured in, where that is not what an evaluation's is.
fn normalised(trainer: &Trainer) -> &'static str {
    match trainer.model().graph().denormalisation() {
        Some(_) => "normalised ",
        None => "",
    }
}

/// The factor on a loss whose gradients are computed in float16, and how many steps it left out so far.
fn scaled(trainer: &Trainer) -> String {
    match (trainer.loss_scale(), trainer.skipped()) {
        (None, _) => String::new(),
        (Some(scale), 0) => format!("  loss scale {scale}"),
        (Some(scale), n) => format!("  loss scale {scale}, {n} skipped"),
    }
}
