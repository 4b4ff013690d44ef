//! What a training will cost: a few steps and a batch of an evaluation, measured before it begins.

use std::time::Instant;

use anyhow::Result;
use minrnn_train::TrainError;
use minrnn_train::task::Split;
use minrnn_train::trainer::{Control, Device, Event, TrainConfig, Trainer};

/// Measured times, and what the steps held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Milliseconds of a step, the fastest turn.
    pub(super) step: f64,
    /// Seconds of an evaluation on the way.
    evaluation: f64,
    /// Bytes on the device; `None` where they are not counted.
    pub(super) bytes: Option<usize>,
    /// Of what a run that goes on has to keep.
    pub(super) state: usize,
}

/// Turns behind the first, of as many steps as a device takes in one go.
pub(super) const TURNS: usize = 2;
/// Seconds after which no further turn is measured.
const ENOUGH: f64 = 5.0;

impl Cost {
    /// Measures a run that is thrown away.
    ///
    /// # Errors
    /// Those of its first steps.
    pub(super) fn of(
        config: &TrainConfig,
        device: &Device,
        turns: usize,
        evaluates: bool,
    ) -> Result<Self, TrainError> {
        let mut config = config.clone();
        // None on the way.
        config.train.eval_every = config.train.steps;
        let mut trainer = Trainer::new(&config, device)?;
        let mut marks: Vec<(Instant, u64)> = vec![(Instant::now(), 0)];
        let done = trainer.fit(&mut |trainer, event| {
            match event {
                Event::Step(log) if log.step + 1 < trainer.steps_done() => {
                    return Ok(Control::Continue);
                }
                Event::Step(_) => marks.push((Instant::now(), trainer.steps_done())),
                _ => return Err(stop()),
            }
            let long = marks.len() > 2 && marks[0].0.elapsed().as_secs_f64() > ENOUGH;
            match marks.len() > turns + 1 || long {
                true => Err(stop()),
                false => Ok(Control::Continue),
            }
        });
        if let Err(error) = done
            && !is_stop(&error)
        {
            return Err(error);
        }
        let each = |w: &[(Instant, u64)]| {
            (w[1].0 - w[0].0).as_secs_f64() * 1e3 / (w[1].1 - w[0].1).max(1) as f64
        };
        // The first turn makes plans, too; it counts only where there is no other.
        let behind = if marks.len() > 2 { 1 } else { 0 };
        let step = marks[behind..]
            .windows(2)
            .map(each)
            .fold(f64::INFINITY, f64::min);
        let bytes = trainer.bytes();
        let evaluation = match evaluates {
            true => evaluation(&trainer)?,
            false => 0.0,
        };
        let state = 16 * trainer.params()?.count();
        Ok(Self {
            step,
            evaluation,
            bytes,
            state,
        })
    }

    /// Seconds of a training from step `from` on.
    pub(super) fn seconds(&self, config: &TrainConfig, from: u64) -> f64 {
        let train = &config.train;
        let left = train.steps.saturating_sub(from);
        let evaluations = 1 + left.checked_div(train.eval_every).unwrap_or(0);
        left as f64 * self.step / 1e3 + evaluations as f64 * self.evaluation
    }
}

/// Seconds of an evaluation, by one batch of it.
fn evaluation(trainer: &Trainer) -> Result<f64, TrainError> {
    let options = &trainer.config().train;
    let all = trainer.task().len(Split::Validation).unwrap_or(0);
    let samples = match options.eval_samples {
        0 => all,
        some => some.min(all),
    };
    let batch = (options.batch as u64).min(samples.max(1));
    // Once for what is made at the first time.
    trainer.evaluate(Split::Validation, batch)?;
    let start = Instant::now();
    trainer.evaluate(Split::Validation, batch)?;
    Ok(start.elapsed().as_secs_f64() * samples as f64 / batch as f64)
}

const ENOUGH_STEPS: &str = "enough steps";

fn stop() -> TrainError {
    TrainError::Config {
        field: ENOUGH_STEPS.into(),
        message: String::new(),
    }
}

fn is_stop(error: &TrainError) -> bool {
    matches!(error, TrainError::Config { field, .. } if field == ENOUGH_STEPS)
}
