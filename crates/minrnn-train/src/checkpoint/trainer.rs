//! Where a training run stands.

use std::collections::BTreeMap;

use minrnn_kernels::loss_scale::LossScale;
use serde::{Deserialize, Serialize};

use crate::optim::OptimizerState;
use crate::schedule::Schedule;

/// The best validation result so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestMetric {
    /// Name of the metric.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// The step at which it was measured.
    pub step: u64,
}

/// Where the streams of a training with carried states stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPlace {
    /// Number of the pass over the training part.
    pub pass: u64,
    /// Steps of it that were done; the next one begins anew where it is 0.
    pub at: u64,
    /// B, streams side by side.
    pub streams: usize,
    /// T, steps of a piece.
    pub steps: usize,
}

/// The factor on the loss of a training in float16.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleState {
    /// That of the next step.
    pub scale: f32,
    /// Steps since it changed.
    pub good_steps: u32,
}

/// Everything besides weights and moments that a resumed run needs. Random numbers need no state: they are functions
/// of the seed and of the counters here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Steps done so far; the next one has this number.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Training samples used so far; the next one has this index.
    pub samples: u64,
    /// The learning rates.
    pub schedule: Schedule,
    /// The best validation result.
    pub best: Option<BestMetric>,
    /// Evaluations since the best one, for early stopping.
    #[serde(default)]
    pub evals_since_best: u64,
    /// The accuracy that ended the run (`train.stop_at_accuracy`), of the evaluation behind its last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<f64>,
    /// Whether an evaluation comes before the next step: the checkpoint was taken before it, or within.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluation_due: bool,
    /// How often the run rolled back to an earlier state; its learning rates are lower since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub roll_backs: u64,
    /// Steps that were done when the average of the weights began, of a run that went on from one without; 0: it began with the run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub average_since: u64,
    /// Steps that were left out, since a gradient was not finite in float16: no updates of the optimizer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// The factor on the loss, of gradients in float16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<ScaleState>,
    /// Where the streams stand, if states are carried from step to step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamPlace>,
    /// In a folder: the sha256 of each file of tensors that it was written beside, by name. None in memory, and in folders of older versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl TrainerState {
    /// Counters that no training reaches together, in words. Steps would be counted twice, or bias corrections be wrong.
    pub(crate) fn contradiction(&self, optimizer: Option<&OptimizerState>) -> Option<String> {
        let Self {
            step,
            samples,
            skipped,
            ..
        } = *self;
        if skipped > step {
            return Some(format!(
                "{skipped} steps were left out of {step}, which cannot be"
            ));
        }
        if let Some(optimizer) = optimizer.filter(|o| o.step != step - skipped) {
            let left_out = match skipped {
                0 => String::new(),
                _ => format!(", of which {skipped} were left out"),
            };
            return Some(format!(
                "the optimizer's state is of step {}, the trainer's of step {step}{left_out}: files of two checkpoints were mixed",
                optimizer.step
            ));
        }
        if samples < step || (step == 0 && samples > 0) {
            return Some(format!(
                "{samples} samples were used in {step} steps, which cannot be"
            ));
        }
        let scale = self.loss_scale.map(|state| f64::from(state.scale));
        if let Some(scale) = scale.filter(|scale| !LossScale::may_be(*scale)) {
            return Some(format!(
                "the factor on the loss is {scale}, which is no power of two from 1 to 2^40"
            ));
        }
        let best = self.best.as_ref().filter(|best| best.step > step)?;
        Some(format!(
            "the best {} is of step {}, but only {step} steps were done",
            best.name, best.step
        ))
    }
}
