//! The average of the weights along a training, in the place of the last ones.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// Decay of an exponential average of which nothing else is said.
const DECAY: f64 = 0.999;

/// `train.average`: evaluations, the best checkpoint and everything that is made of a checkpoint take the average of the weights
/// after each step (Polyak and Juditsky 1992); the optimizer goes on with the weights themselves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AverageConfig {
    /// Which average.
    pub kind: AverageKind,
    /// Of `ema`: what is left of the average after each step, 0.999 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// Of `tail`: the step behind which it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// Kinds of [`AverageConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AverageKind {
    /// Older weights count less and less; before there are many, it is the mean of all.
    #[default]
    Ema,
    /// The mean of all from a step on.
    Tail,
}

impl AverageConfig {
    /// The share of the average that the weights after step number `step`, counted from 0, have.
    /// `since` is that of [`Self::span`].
    pub(super) fn share(&self, step: u64, since: u64) -> f32 {
        let mean = |before: u64| 1.0 / (before as f64 + 1.0);
        let mean = mean((step + 1).saturating_sub(self.first(since)));
        let share = match self.decay() {
            Some(decay) => mean.max(1.0 - decay),
            None => mean,
        };
        share as f32
    }

    /// In words: `exponential average, decay 0.999`.
    pub fn words(&self) -> String {
        match self.kind {
            AverageKind::Ema => {
                format!("exponential average, decay {}", self.decay.unwrap_or(DECAY))
            }
            AverageKind::Tail => {
                format!("mean over the steps from {} on", self.from.unwrap_or(0))
            }
        }
    }

    /// The steps whose weights the average after `step` steps is made of, the first and the last, counted from 1; `since`:
    /// [`TrainerState::average_since`](crate::checkpoint::TrainerState::average_since). `None`: there are weights of one step only.
    pub fn span(&self, step: u64, since: u64) -> Option<(u64, u64)> {
        let first = self.first(since);
        (step > first).then_some((first, step))
    }

    /// The step whose weights are the first in the average, counted from 1.
    fn first(&self, since: u64) -> u64 {
        let from = match self.kind {
            AverageKind::Ema => 0,
            AverageKind::Tail => self.from.unwrap_or(0),
        };
        since.max(from + 1)
    }

    /// Of an exponential average: what is left of it after each step.
    pub fn decay(&self) -> Option<f64> {
        match self.kind {
            AverageKind::Ema => Some(self.decay.unwrap_or(DECAY)),
            AverageKind::Tail => None,
        }
    }

    pub(super) fn validate(&self, steps: u64) -> Result<()> {
        let refuse = |key: &str, message: String| {
            Err(TrainError::config(format!("train.average.{key}"), message))
        };
        let decay = self.decay.filter(|d| !(*d > 0.0 && *d < 1.0));
        if let Some(decay) = decay {
            return refuse(
                "decay",
                format!("is {decay}, expected more than 0 and less than 1"),
            );
        }
        match (self.kind, self.decay, self.from) {
            (AverageKind::Tail, Some(_), _) => refuse(
                "decay",
                "is of kind = \"ema\", and the mean of a tail has none; leave it out".into(),
            ),
            (AverageKind::Ema, _, Some(_)) => refuse(
                "from",
                "is of kind = \"tail\"; leave it out, or choose that".into(),
            ),
            (AverageKind::Tail, _, None) => refuse(
                "from",
                "is missing: the step behind which the mean begins".into(),
            ),
            (AverageKind::Tail, _, Some(from)) if from + 1 >= steps => refuse(
                "from",
                format!(
                    "is {from}, and the run has {steps} steps: there is nothing to average; begin earlier, or leave train.average out"
                ),
            ),
            _ => Ok(()),
        }
    }
}
