//! What a training step makes small: losses of rows, and what they weigh.

use std::fmt;

use candle_core::{D, Tensor};
use minrnn_model::graph::OutputKind;
use serde::de::value::{self, MapAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Result, TrainError};
use crate::task::TaskShape;

/// The loss of a training step. What is told of evaluations is always the plain one: cross-entropy in nats, or the mean square.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Which; `None`: cross-entropy of classes, the mean square of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<LossKind>,
    /// Of cross-entropy: this part of each target is spread evenly over all classes; 0 or more and less than 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Of cross-entropy: what a target of each class weighs, in the order of their numbers; the loss is the weighted mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f32>,
    /// Of `huber`: errors up to this are squared, larger ones count by their size; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
}

impl LossConfig {
    /// Reads the table, or the name of a kind, which means its table with nothing else in it.
    pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = LossConfig;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("\"cross_entropy\", \"mse\", \"mae\", \"huber\", or a table of options")
    }

    fn visit_str<E: Error>(self, name: &str) -> std::result::Result<LossConfig, E> {
        let kind = LossKind::deserialize(name.into_deserializer());
        let kind =
            kind.map_err(|_: value::Error| E::invalid_value(Unexpected::Str(name), &self))?;
        Ok(LossConfig {
            kind: Some(kind),
            ..LossConfig::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<LossConfig, A::Error> {
        LossConfig::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Kinds of [`LossConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// `-ln softmax(logits)[target]`.
    CrossEntropy,
    /// `e^2`, e the error.
    Mse,
    /// `|e|`.
    Mae,
    /// `e^2 / 2` up to `delta`, `delta (|e| - delta / 2)` beyond.
    Huber,
}

impl LossKind {
    /// As written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber => "huber",
        }
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl LossConfig {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What of it is more than the plain loss, for which alone there are kernels; `None`: nothing.
    pub(super) fn beyond_kernels(&self) -> Option<String> {
        match self.kind {
            Some(kind @ (LossKind::Mae | LossKind::Huber)) => Some(kind.name().to_owned()),
            _ if self.label_smoothing != 0.0 => Some("cross-entropy with label_smoothing".into()),
            _ if !self.class_weights.is_empty() => Some("cross-entropy with class_weights".into()),
            _ => None,
        }
    }

    /// Holds it against a task.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the key that does not fit, or would change nothing.
    pub(super) fn validate(&self, shape: TaskShape) -> Result<()> {
        let refuse = |key: &str, message: String| {
            Err(TrainError::config(format!("train.loss.{key}"), message))
        };
        let is_classes = shape.output == OutputKind::Logits;
        if let Some(kind) = self.kind
            && is_classes != (kind == LossKind::CrossEntropy)
        {
            let (has, takes) = match is_classes {
                true => ("classes", "cross_entropy"),
                false => ("values", "mse, mae or huber"),
            };
            return refuse(
                "kind",
                format!(
                    "is {}, and the task has {has}, of which it is {takes}",
                    kind.name()
                ),
            );
        }
        if self.delta.is_some() && self.kind != Some(LossKind::Huber) {
            return refuse(
                "delta",
                "is of kind = \"huber\"; leave it out, or choose that".into(),
            );
        }
        if let Some(delta) = self
            .delta
            .filter(|d| !(*d > 0.0 && (*d as f32).is_normal()))
        {
            return refuse("delta", format!("is {delta}, expected a positive float32"));
        }
        let smoothing = self.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            return refuse(
                "label_smoothing",
                format!("is {smoothing}, expected 0 or more and less than 1"),
            );
        }
        if !is_classes && smoothing != 0.0 {
            return refuse(
                "label_smoothing",
                "is of classes, and the task has values; leave it out".into(),
            );
        }
        self.check_weights(is_classes, shape.width)
    }

    fn check_weights(&self, is_classes: bool, width: usize) -> Result<()> {
        let refuse = |message: String| Err(TrainError::config("train.loss.class_weights", message));
        let Some(first) = self.class_weights.first() else {
            return Ok(());
        };
        if !is_classes {
            return refuse("are of classes, and the task has values; leave them out".into());
        }
        let count = self.class_weights.len();
        if count != width {
            return refuse(format!(
                "has {count} numbers, and the task has {width} classes; give one for each"
            ));
        }
        if let Some(i) = self
            .class_weights
            .iter()
            .position(|w| !(w.is_normal() && *w > 0.0))
        {
            return refuse(format!(
                "has {} for class {i}, expected positive numbers",
                self.class_weights[i]
            ));
        }
        match self.class_weights.iter().all(|w| w == first) {
            true => refuse("are all equal, which changes nothing; leave them out".into()),
            false => Ok(()),
        }
    }

    /// Of rows of logits `[R, C]` with the numbers of their classes `[R]` and their weights `[R]`: the weighted mean, smoothed
    /// (Szegedy et al. 2016; with class weights as `torch.nn.CrossEntropyLoss` has it).
    pub(super) fn of_classes(
        &self,
        rows: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (_, width) = rows.dims2()?;
        // A constant that is subtracted and cancels: no gradient goes through it.
        let top = rows.max_keepdim(D::Minus1)?.detach();
        let rows = rows.broadcast_sub(&top)?;
        let sum = rows.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let logs = rows.broadcast_sub(&sum)?;
        let picked = logs.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
        let classes = match self.class_weights.as_slice() {
            [] => Tensor::ones(width, rows.dtype(), rows.device())?,
            all => Tensor::from_slice(all, width, rows.device())?,
        };
        let each = classes.index_select(targets, 0)?;
        let spread = logs.broadcast_mul(&classes)?.sum(1)?;
        let smoothing = self.label_smoothing;
        let gain =
            ((picked.mul(&each)? * (1.0 - smoothing))? + (spread * (smoothing / width as f64))?)?;
        let (gain, each) = match weights {
            Some(weights) => (gain.mul(weights)?, each.mul(weights)?),
            None => (gain, each),
        };
        let whole = each.sum_all()?.maximum(f64::from(f32::MIN_POSITIVE))?;
        gain.sum_all()?.neg()?.div(&whole)
    }

    /// Of errors, what each costs.
    pub(super) fn of_errors(&self, errors: &Tensor) -> candle_core::Result<Tensor> {
        match self.kind {
            Some(LossKind::Mae) => errors.abs(),
            Some(LossKind::Huber) => {
                let delta = self.delta.unwrap_or(1.0);
                let size = errors.abs()?;
                // Up to delta the square alone, beyond it the line that goes on from there: no slope is a difference of large ones.
                let inside = size.le(delta)?;
                let edge = (size.zeros_like()? + delta)?;
                let near = inside.where_cond(&size, &edge)?;
                let far = (size - delta)?.relu()?;
                (near.sqr()? * 0.5)? + (far * delta)?
            }
            _ => errors.sqr(),
        }
    }
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
