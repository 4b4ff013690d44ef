//! Options of the optimizer.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// Options of [`AdamW`](super::AdamW); the learning rate is given at each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Memory of the mean gradient.
    pub beta1: f64,
    /// Memory of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of the weights, times the learning rate, for parameters that decay.
    pub weight_decay: f64,
    /// The gradient of all parameters together is scaled down to this norm where it is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            clip_norm: None,
        }
    }
}

impl AdamWConfig {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        // The kernels take all of them as float32.
        let normal = |x: f64| x > 0.0 && (x as f32).is_normal();
        let memory = |x: f64| x >= 0.0 && (x as f32) < 1.0;
        let checks = [
            (
                "beta1",
                self.beta1,
                memory(self.beta1),
                "0 or more and less than 1, as a float32",
            ),
            (
                "beta2",
                self.beta2,
                memory(self.beta2),
                "0 or more and less than 1, as a float32",
            ),
            // Smaller ones are 0 in float32, and 0 / 0 follows for a parameter without gradient.
            ("eps", self.eps, normal(self.eps), "a positive float32"),
            (
                "weight_decay",
                self.weight_decay,
                self.weight_decay >= 0.0 && (self.weight_decay as f32).is_finite(),
                "0 or more, as a float32",
            ),
            (
                "clip_norm",
                self.clip_norm.unwrap_or(1.0),
                self.clip_norm.is_none_or(normal),
                "a positive float32",
            ),
        ];
        match checks.iter().find(|(_, _, ok, _)| !ok) {
            Some((field, found, _, wanted)) => Err(TrainError::config(
                *field,
                format!("is {found}, expected {wanted}"),
            )),
            None => Ok(()),
        }
    }
}
