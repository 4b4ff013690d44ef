//! Options that would change nothing in the run that they are written for: refused by name.

use minrnn_model::graph::{Input, OutputKind};

use super::backend::Device;
use super::config::TrainOptions;
use crate::error::{Result, TrainError};
use crate::schedule::Decay;
use crate::task::{Split, Task};

/// # Errors
/// [`TrainError::Config`]: the option, why it has no effect, and what would give it one.
pub(super) fn refuse_idle(options: &TrainOptions, task: &dyn Task, device: &Device) -> Result<()> {
    options.loss.validate(task.shape())?;
    let refuse = |field: &str, message: &str| Err(TrainError::config(field, message));
    if options.carry_state {
        refuse_streams(options, task)?;
    }
    if options.tuned && device.is_cpu() {
        return refuse(
            "train.tuned",
            "chooses among a GPU's matrix products, and this run is on the CPU; leave it out, or use --device cuda",
        );
    }
    if options.decay == Decay::Constant && options.min_lr != 0.0 {
        return refuse(
            "train.min_lr",
            "is where a cosine ends, and train.decay is constant; leave it out, or choose decay = \"cosine\"",
        );
    }
    if options.eval_every > 0 && task.len(Split::Validation) == Some(0) {
        return refuse(
            "train.eval_every",
            "evaluations measure the validation part, and the task has none; leave it out, or set it to 0, to train on all data without evaluations, or give the task a validation part (task.validation_fraction)",
        );
    }
    if options.stop_at_accuracy.is_some() {
        if task.shape().output == OutputKind::Values {
            return refuse(
                "train.stop_at_accuracy",
                "the task has values for targets, of which there is no accuracy; leave it out",
            );
        }
        if options.eval_every == 0 {
            return refuse(
                "train.stop_at_accuracy",
                "only an evaluation on the way can stop a run, and train.eval_every is 0; set that, or leave this out",
            );
        }
    }
    if options.patience.is_some() && options.eval_every == 0 {
        return refuse(
            "train.patience",
            "counts evaluations on the way, and train.eval_every is 0; set that, or leave this out",
        );
    }
    if options.eval_samples > 0 && options.eval_every == 0 {
        return refuse(
            "train.eval_samples",
            "is of evaluations on the way, and train.eval_every is 0; set that, or leave this out: the last evaluation takes all",
        );
    }
    Ok(())
}

/// States are carried along streams, at least a piece long.
fn refuse_streams(options: &TrainOptions, task: &dyn Task) -> Result<()> {
    let message = match task.pass(options.batch) {
        None if !task.shape().per_step => "carries states from piece to piece of a sequence, and a target of the whole sequence is known at its end only; leave it out, or give a target for each step (task.per = \"step\")".to_owned(),
        None => "carries states from piece to piece of a long text or of long sequences, which task.seq_len cuts, and this task has samples of their own, which begin anew; leave it out, or set task.seq_len for sequences"
            .to_owned(),
        Some(0) if task.vocabulary().is_none() && matches!(task.shape().input, Input::Features { .. }) => format!(
            "takes train.batch = {} sequences side by side, and the training part has {}; make the batch smaller, or leave it out",
            options.batch,
            task.len(Split::Train).unwrap_or(0)
        ),
        Some(0) => format!(
            "cuts the training part into train.batch = {} streams, which are shorter than one window of task.seq_len then; make the batch or the window smaller, or leave it out",
            options.batch
        ),
        Some(_) => return Ok(()),
    };
    Err(TrainError::config("train.carry_state", message))
}
