//! The loop: steps, evaluations in between, the best of them, and what a caller sees of it.

use super::{Metrics, StepLog, TrainOptions, Trainer};
use crate::checkpoint::BestMetric;
use crate::error::{Result, TrainError};
use crate::task::Split;

/// What happens in [`Trainer::fit`].
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A step was done.
    Step(StepLog),
    /// A loss or a gradient was not finite, and the run is again where it was before; [`Trainer::trouble`] says what it was.
    RolledBack(RolledBack),
    /// An evaluation goes on, or begins where `done` is 0: so many of all its sequences are done.
    Evaluating {
        /// Sequences done.
        done: u64,
        /// Sequences in all.
        all: u64,
    },
    /// An evaluation was done after so many steps; whether it is the best so far.
    Eval {
        /// Steps done.
        step: u64,
        /// The result.
        metrics: Metrics,
        /// Whether it is the best so far.
        best: bool,
    },
}

/// How a run rolled back ([`TrainOptions::on_nan`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolledBack {
    /// Number of the step that failed.
    pub failed: u64,
    /// Steps done now: the next one has this number.
    pub to: u64,
    /// How often the run rolled back so far, and how often it may.
    pub times: [u64; 2],
    /// What learning rates are multiplied by from here on.
    pub factor: f64,
}

/// Which evaluation of a run.
#[derive(Debug, Clone, Copy)]
enum Evaluation {
    /// One between steps, of as many sequences as the options say.
    Between,
    /// The one at the end, of all of them.
    End {
        /// What is remembered in its place: the result of as many sequences as before.
        judged: Option<Metrics>,
        /// Whether it counts as one without a new best.
        counts: bool,
    },
}

/// What a caller of [`Trainer::fit`] wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop after this event, or after the evaluation that it belongs to; the trainer stays usable.
    Stop,
}

impl Trainer {
    /// Trains to the end, evaluating in between, and once more over everything at the end (the result). Without a validation
    /// part nothing is evaluated, and there is no result.
    ///
    /// A checkpoint taken at any event goes on as if it had not been taken, also before and within an evaluation: that is
    /// made again.
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and [`Trainer::evaluate`].
    pub fn fit(
        &mut self,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<Option<Metrics>> {
        let options = self.config.train.clone();
        while self.state.step < options.steps && !self.has_ended_early() {
            if !self.state.evaluation_due && self.advance(&options, observe)? == Control::Stop {
                break;
            }
            // That of the last step is the one at the end.
            if self.state.evaluation_due && self.state.step < options.steps {
                let control = self.evaluated(Evaluation::Between, observe)?.1;
                if control == Control::Stop {
                    break;
                }
            }
        }
        if !self.has_validation() {
            return Ok(None);
        }
        // The best of all is chosen among evaluations of the same sequences.
        let judged = match self.is_part(&options) {
            true => Some(self.observed(options.eval_samples, observe)?.0),
            false => None,
        };
        // A longer run would have one here too; a run that is over and goes on had it already.
        let counts = self.state.step == options.steps && self.state.evaluation_due;
        let end = Evaluation::End { judged, counts };
        Ok(Some(self.evaluated(end, observe)?.0))
    }

    /// Whether the task has a validation part: without one there are no evaluations, and no best.
    pub fn has_validation(&self) -> bool {
        self.task.len(Split::Validation) != Some(0)
    }

    /// Whether as many evaluations as [`TrainOptions::patience`] says were no better than the best before them.
    pub fn is_out_of_patience(&self) -> bool {
        let patience = self.config.train.patience;
        patience.is_some_and(|most| self.state.evals_since_best >= most)
    }

    /// Whether the newest evaluation between steps reached [`TrainOptions::stop_at_accuracy`].
    pub fn is_accurate_enough(&self) -> bool {
        let wanted = self.config.train.stop_at_accuracy;
        let both = wanted.zip(self.state.reached);
        both.is_some_and(|(wanted, reached)| reached >= wanted)
    }

    /// Whether the run is over before its last step: [`Trainer::fit`] makes no more steps, of a run that is resumed either.
    pub fn has_ended_early(&self) -> bool {
        self.is_out_of_patience() || self.is_accurate_enough()
    }

    /// Whether evaluations between steps, by which the best is chosen, are of a part of what the one at the end is of
    /// ([`TrainOptions::eval_samples`]).
    pub fn evaluates_a_part(&self) -> bool {
        self.is_part(&self.config.train)
    }

    /// The best result so far counts no longer: the next evaluation is the best.
    pub fn forget_best(&mut self) {
        self.state.best = None;
        self.state.evals_since_best = 0;
    }

    /// Whether evaluations during training are of a part of what the last one is of.
    fn is_part(&self, options: &TrainOptions) -> bool {
        let all = self.task.len(Split::Validation).unwrap_or(0);
        options.eval_every > 0 && (1..all).contains(&options.eval_samples)
    }

    /// Steps up to the next evaluation at most, as many as the device takes in one go.
    fn advance(
        &mut self,
        options: &TrainOptions,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<Control> {
        let left = options.steps - self.state.step;
        let until = match options.eval_every {
            0 => left,
            every => left.min(every - self.state.step % every),
        };
        self.keep_snapshot()?;
        let (logs, error) = match self.steps(self.until_snapshot(until)) {
            // On a CPU a step fails by itself; nothing is in line behind it.
            Err(error @ TrainError::NonFinite { .. }) => (vec![], Some(error)),
            other => other?,
        };
        self.state.evaluation_due =
            options.eval_every > 0 && self.state.step.is_multiple_of(options.eval_every);
        let mut stopped = false;
        for log in logs {
            stopped |= observe(self, Event::Step(log))? == Control::Stop;
        }
        let back = error.map(|error| self.roll_back(error)).transpose()?;
        if let Some(back) = back {
            stopped |= observe(self, Event::RolledBack(back))? == Control::Stop;
        }
        match stopped {
            true => Ok(Control::Stop),
            false => Ok(Control::Continue),
        }
    }

    /// Evaluates the validation part, its first `samples` sequences or all of them if 0; an observer sees how far it is, and
    /// may end it.
    fn observed(
        &self,
        samples: u64,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<(Metrics, Control)> {
        let mut control = Control::Continue;
        let metrics = self.evaluate_seen(Split::Validation, samples, &mut |done, all| {
            if observe(self, Event::Evaluating { done, all })? == Control::Stop {
                control = Control::Stop;
            }
            Ok(())
        })?;
        Ok((metrics, control))
    }

    /// The same, and remembers the result.
    fn evaluated(
        &mut self,
        which: Evaluation,
        observe: &mut dyn FnMut(&Self, Event) -> Result<Control>,
    ) -> Result<(Metrics, Control)> {
        let (samples, judged, counts) = match which {
            Evaluation::Between => (self.config.train.eval_samples, None, true),
            Evaluation::End { judged, counts } => (0, judged, counts),
        };
        let (metrics, mut control) = self.observed(samples, observe)?;
        if let Evaluation::Between = which {
            let wanted = self.config.train.stop_at_accuracy;
            let both = wanted.zip(metrics.accuracy);
            // Before anybody takes a checkpoint: what goes on from it ends here too.
            self.state.reached = both.filter(|(want, got)| got >= want).map(|(_, got)| got);
        }
        let best = self.note(judged.unwrap_or(metrics), counts);
        self.state.evaluation_due = false;
        let step = self.state.step;
        let event = Event::Eval {
            step,
            metrics,
            best,
        };
        if observe(self, event)? == Control::Stop {
            control = Control::Stop;
        }
        Ok((metrics, control))
    }

    /// Remembers an evaluation; whether it is the best so far.
    pub(super) fn note(&mut self, metrics: Metrics, counts: bool) -> bool {
        let best = self
            .state
            .best
            .as_ref()
            .is_none_or(|b| metrics.loss < b.value);
        self.state.evals_since_best = if best {
            0
        } else {
            self.state.evals_since_best + u64::from(counts)
        };
        if best {
            self.state.best = Some(BestMetric {
                name: "loss".into(),
                value: metrics.loss,
                step: self.state.step,
            });
        }
        best
    }
}
