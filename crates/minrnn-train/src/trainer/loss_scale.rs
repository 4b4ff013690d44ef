//! The factor on the loss of trainings in float16, as configured, and what a run remembers of it.

use minrnn_kernels::loss_scale::{HIGHEST, LossScale, MOST_STEPS};
use serde::{Deserialize, Serialize};

use super::Trainer;
use super::precision::Precision;
use crate::checkpoint::ScaleState;
use crate::error::{Result, TrainError};

/// The first factor of which nothing else is said.
const INITIAL: f64 = 65536.0;
/// Steps after which it is doubled.
const INTERVAL: u64 = 2000;

/// `train.loss_scale`: what the loss is multiplied by before its gradients are computed in float16. Where one is not finite, the step is
/// left out and the factor halved; after [`LossScaleConfig::growth_interval`] steps without, it is doubled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossScaleConfig {
    /// The factor of the first step, 65536 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<f64>,
    /// Steps without a gradient that is not finite after which it is doubled, 2000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_interval: Option<u64>,
    /// The factor of all steps, of which none is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<f64>,
}

impl LossScaleConfig {
    /// Refuses what contradicts itself, and a factor of gradients that are not in float16.
    pub(super) fn check(&self, precision: Precision) -> Result<()> {
        if precision != Precision::F16 {
            let message = format!(
                "is of gradients in float16, and train.precision is \"{}\"; leave it out, or choose precision = \"f16\"",
                precision.name()
            );
            return Err(TrainError::config("train.loss_scale", message));
        }
        self.validate()
    }

    /// The factor of a run that begins.
    pub(super) fn first(&self) -> LossScale {
        let interval = self.growth_interval.unwrap_or(INTERVAL);
        LossScale {
            scale: self.fixed.or(self.initial).unwrap_or(INITIAL) as f32,
            good: 0,
            interval: match self.fixed {
                Some(_) => None,
                None => Some(u32::try_from(interval).map_or(MOST_STEPS, |n| n.min(MOST_STEPS))),
            },
        }
    }

    fn validate(&self) -> Result<()> {
        let refuse = |key: &str, message: String| {
            Err(TrainError::config(
                format!("train.loss_scale.{key}"),
                message,
            ))
        };
        let given = [
            ("initial", self.initial.is_some()),
            ("growth_interval", self.growth_interval.is_some()),
        ];
        if let Some((key, _)) = (given.iter()).find(|(_, given)| *given && self.fixed.is_some()) {
            let message = "is of a factor that moves, and train.loss_scale.fixed is one that does not; leave one of them out";
            return refuse(key, message.into());
        }
        for (key, scale) in [("initial", self.initial), ("fixed", self.fixed)] {
            if let Some(scale) = scale.filter(|scale| !LossScale::may_be(*scale)) {
                return refuse(
                    key,
                    format!(
                        "is {scale}, expected a power of two from 1 to {HIGHEST:e}, such as 1024"
                    ),
                );
            }
        }
        let most = u64::from(MOST_STEPS);
        match self.growth_interval.filter(|n| !(1..=most).contains(n)) {
            Some(n) => refuse("growth_interval", format!("is {n}, expected 1 to {most}")),
            None => Ok(()),
        }
    }
}

/// The factor behind the steps of a checkpoint, which goes on as the configuration says.
fn kept(config: &LossScaleConfig, state: &ScaleState) -> LossScale {
    let first = config.first();
    match first.interval {
        None => first,
        Some(interval) => LossScale {
            scale: state.scale,
            // Of a longer interval before.
            good: state.good_steps.min(interval - 1),
            interval: Some(interval),
        },
    }
}

impl Trainer {
    /// What the loss of the next step is multiplied by, where gradients are computed in float16.
    pub fn loss_scale(&self) -> Option<f64> {
        let state = self.state.loss_scale.as_ref();
        state.map(|state| f64::from(state.scale))
    }

    /// How many steps so far were left out, since a gradient was not finite in float16.
    pub fn skipped(&self) -> u64 {
        self.state.skipped
    }

    /// Takes note of the factor as the last steps left it.
    pub(super) fn note_loss_scale(&mut self) {
        let scale = self.backend.loss_scale();
        self.state.loss_scale = scale.map(|scale| ScaleState {
            scale: scale.scale,
            good_steps: scale.good,
        });
    }

    /// Goes on with the factor of such a state, if both have one.
    pub(super) fn restore_loss_scale(&mut self, state: Option<&ScaleState>) -> Result<()> {
        if let (Some(state), Some(_)) = (state, self.backend.loss_scale()) {
            let config = self.config.train.loss_scale.clone().unwrap_or_default();
            let scale = kept(&config, state);
            self.backend.set_loss_scale(scale)?;
        }
        self.note_loss_scale();
        Ok(())
    }
}

#[cfg(test)]
#[path = "loss_scale_tests.rs"]
mod tests;
