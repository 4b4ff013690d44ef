//! What a checkpoint says of an average of its weights, as an export says it.

use minrnn_onnx::export::{AverageRule, Averaged};
use minrnn_train::checkpoint::{Checkpoint, TrainerState};
use minrnn_train::trainer::AverageConfig;

/// Which average of the weights of a training the weights of its checkpoint are; `None`: they are those of one step.
pub(crate) fn averaged(checkpoint: &Checkpoint) -> Option<Averaged> {
    let average = checkpoint.config.pointer("/train/average").cloned()?;
    let average: AverageConfig = serde_json::from_value(average).ok()?;
    let TrainerState {
        step,
        average_since,
        ..
    } = checkpoint.trainer.as_ref()?;
    let (first_step, last_step) = average.span(*step, *average_since)?;
    Some(Averaged {
        rule: average.decay().map_or(AverageRule::Mean, AverageRule::Ema),
        first_step,
        last_step,
    })
}
