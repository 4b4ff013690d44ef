//! What a training step makes small: losses of rows, and what they weigh.

use candle_core::{D, Tensor};
use minrnn_model::graph::OutputKind;
use serde::{Deserialize, Serialize};

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
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::task::Targets;
    use crate::task::{Batch, Input};
    use crate::trainer::loss::Tensors;

    fn batch(targets: Targets, weights: Option<Vec<f32>>) -> Batch {
        Batch {
            batch: 1,
            time: 3,
            input: Input::Tokens { ids: vec![0; 3] },
            targets,
            weights,
            lens: None,
            reset: None,
        }
    }

    /// The loss, and its gradient by each output.
    fn loss(config: &LossConfig, batch: &Batch, outputs: &[f32]) -> (f64, Vec<f32>) {
        let tensors = Tensors::new(batch, &Device::Cpu).unwrap();
        let width = outputs.len() / 3;
        let outputs = Var::from_slice(outputs, (1, 3, width), &Device::Cpu).unwrap();
        let loss = tensors.objective(&outputs, config).unwrap();
        let grads = loss.backward().unwrap();
        let grad = grads
            .get(&outputs)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        (f64::from(loss.to_vec0::<f32>().unwrap()), grad)
    }

    /// Gradients against differences of the loss.
    fn check_slopes(config: &LossConfig, batch: &Batch, outputs: &[f32]) {
        let (_, grads) = loss(config, batch, outputs);
        for i in 0..outputs.len() {
            let at = |by: f32| {
                let mut moved = outputs.to_vec();
                moved[i] += by;
                loss(config, batch, &moved).0
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!(
                (f64::from(grads[i]) - slope).abs() < 2e-3,
                "{config:?}, {i}: {} {slope}",
                grads[i]
            );
        }
    }

    const LOGITS: [f32; 9] = [0.5, -1.0, 2.0, 0.0, 1.0, -0.5, 1.5, 0.25, -2.0];

    /// The definition in float64, a target after the other.
    fn by_hand(smoothing: f64, classes: [f64; 3], rows: [f64; 3]) -> f64 {
        let ids = [2, 0, 1];
        let (mut total, mut whole) = (0.0, 0.0);
        for (t, id) in ids.into_iter().enumerate() {
            let row: Vec<f64> = LOGITS[t * 3..t * 3 + 3]
                .iter()
                .map(|x| f64::from(*x))
                .collect();
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            let nll = |c: usize| sum.ln() - row[c];
            let smooth: f64 = (0..3).map(|c| classes[c] * nll(c)).sum();
            total +=
                rows[t] * ((1.0 - smoothing) * classes[id] * nll(id) + smoothing / 3.0 * smooth);
            whole += rows[t] * classes[id];
        }
        total / whole
    }

    #[test]
    fn cross_entropy_is_smoothed_and_weighted() {
        let targets = || Targets::Classes {
            ids: vec![2, 0, 1],
            per_step: true,
        };
        for (smoothing, classes) in [
            (0.0, None),
            (0.1, None),
            (0.0, Some([1.0, 5.0, 0.5])),
            (0.3, Some([1.0, 5.0, 0.5])),
        ] {
            let config = LossConfig {
                label_smoothing: smoothing,
                class_weights: classes
                    .map(|c| c.map(|w| w as f32).to_vec())
                    .unwrap_or_default(),
                ..LossConfig::default()
            };
            for rows in [None, Some([1.0, 0.0, 1.0])] {
                let batch = batch(
                    targets(),
                    rows.map(|r: [f64; 3]| r.map(|w| w as f32).to_vec()),
                );
                let wanted = by_hand(
                    smoothing,
                    classes.unwrap_or([1.0; 3]),
                    rows.unwrap_or([1.0; 3]),
                );
                let (found, _) = loss(&config, &batch, &LOGITS);
                assert!(
                    (found - wanted).abs() < 1e-6,
                    "{smoothing} {classes:?} {rows:?}: {found} {wanted}"
                );
                check_slopes(&config, &batch, &LOGITS);
            }
        }
    }

    #[test]
    fn errors_are_squared_sized_or_both() {
        let targets = Targets::Values {
            values: vec![1.0, 2.0, 3.0],
            width: 1,
            per_step: true,
        };
        // Errors 0.5, -3 and 1.5.
        let outputs = [1.5, -1.0, 4.5];
        let of = |kind, delta| LossConfig {
            kind,
            delta,
            ..LossConfig::default()
        };
        let huber = Some(LossKind::Huber);
        for (config, each) in [
            (of(None, None), [0.25, 9.0, 2.25]),
            (of(Some(LossKind::Mse), None), [0.25, 9.0, 2.25]),
            (of(Some(LossKind::Mae), None), [0.5, 3.0, 1.5]),
            (of(huber, None), [0.125, 2.5, 1.0]),
            (of(huber, Some(2.0)), [0.125, 4.0, 1.125]),
            (of(huber, Some(1e10)), [0.125, 4.5, 1.125]),
        ] {
            let all = batch(targets.clone(), None);
            let (found, _) = loss(&config, &all, &outputs);
            assert!(
                (found - each.iter().sum::<f64>() / 3.0).abs() < 1e-6,
                "{config:?}: {found}"
            );
            check_slopes(&config, &all, &outputs);
            let some = batch(targets.clone(), Some(vec![1.0, 1.0, 0.0]));
            let (found, _) = loss(&config, &some, &outputs);
            assert!(
                (found - (each[0] + each[1]) / 2.0).abs() < 1e-6,
                "{config:?}: {found}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_the_task_is_refused_by_name() {
        use minrnn_model::graph::Input;
        let shape = |output| TaskShape {
            input: Input::Features { width: 1 },
            output,
            width: 2,
            per_step: true,
        };
        let (classes, values) = (shape(OutputKind::Logits), shape(OutputKind::Values));
        for (text, shape, words) in [
            (
                "kind = 'huber'",
                classes,
                "`train.loss.kind`: is huber, and the task has classes",
            ),
            (
                "kind = 'cross_entropy'",
                values,
                "the task has values, of which it is mse, mae or huber",
            ),
            (
                "delta = 2.0",
                values,
                "`train.loss.delta`: is of kind = \"huber\"",
            ),
            (
                "kind = 'huber'\ndelta = -1.0",
                values,
                "`train.loss.delta`: is -1",
            ),
            (
                "label_smoothing = 0.1",
                values,
                "`train.loss.label_smoothing`: is of classes",
            ),
            (
                "label_smoothing = 1.0",
                classes,
                "`train.loss.label_smoothing`: is 1",
            ),
            (
                "class_weights = [1.0, 2.0]",
                values,
                "`train.loss.class_weights`: are of classes",
            ),
            (
                "class_weights = [1.0, 2.0, 3.0]",
                classes,
                "has 3 numbers, and the task has 2 classes",
            ),
            ("class_weights = [1.0, 0.0]", classes, "has 0 for class 1"),
            ("class_weights = [2.0, 2.0]", classes, "are all equal"),
        ] {
            let config: LossConfig = toml::from_str(text).unwrap();
            let error = config.validate(shape).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        for (text, shape) in [
            ("", classes),
            ("", values),
            ("kind = 'huber'\ndelta = 0.5", values),
            ("label_smoothing = 0.1\nclass_weights = [1.0, 2.0]", classes),
        ] {
            toml::from_str::<LossConfig>(text)
                .unwrap()
                .validate(shape)
                .unwrap();
        }
    }
}
