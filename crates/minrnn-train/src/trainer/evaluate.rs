//! What a model comes to on a split.

use serde::Serialize;

use super::Trainer;
use crate::error::{Result, TrainError};
use crate::task::{Split, eval_ranges};

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Mean loss over all targets that count: nats, or squared error in the units of the data.
    pub loss: f64,
    /// Share of targets that are the largest logit; `None` for real targets.
    pub accuracy: Option<f64>,
    /// Targets that counted.
    pub count: usize,
}

impl Trainer {
    /// Evaluates a split: its first `samples` sequences, or all of them if 0.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a split that is empty; [`TrainError::NonFinite`].
    pub fn evaluate(&self, split: Split, samples: u64) -> Result<Metrics> {
        self.evaluate_seen(split, samples, &mut |_, _| Ok(()))
    }

    /// The same; `see` hears before each batch how many of how many sequences are done, and its error ends it.
    pub(super) fn evaluate_seen(
        &self,
        split: Split,
        samples: u64,
        see: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Metrics> {
        let (mut loss, mut correct, mut count) = (0.0, Some(0), 0);
        let most = if samples == 0 { u64::MAX } else { samples };
        // The last batch is cut: what is measured does not depend on the size of a batch.
        let ranges: Vec<_> = eval_ranges(&*self.task, split, self.config.train.batch)
            .take_while(|(first, _)| *first < most)
            .map(|(first, size)| (first, size.min((most - first).try_into().unwrap_or(size))))
            .collect();
        let all = ranges
            .last()
            .map_or(0, |(first, size)| first + *size as u64);
        for (first, size) in ranges {
            see(first, all)?;
            let batch = self.task.batch(split, first, size)?;
            let (mean, met) = self.backend.evaluate(&batch)?;
            loss += mean * batch.counted() as f64;
            correct = correct.zip(met).map(|(a, b)| a + b);
            count += batch.counted();
        }
        if count == 0 {
            return Err(TrainError::config(
                "task",
                format!("has no {} part to evaluate on", split.name()),
            ));
        }
        if !loss.is_finite() {
            return Err(TrainError::NonFinite {
                what: format!("the loss over the {} part", split.name()),
                step: self.state.step,
            });
        }
        Ok(Metrics {
            loss: loss / count as f64,
            accuracy: correct.map(|c| c as f64 / count as f64),
            count,
        })
    }
}
