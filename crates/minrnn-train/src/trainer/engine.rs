//! Which engine computes the steps of a training.

use minrnn_model::graph::Graph;
use serde::{Deserialize, Serialize};

use super::backend::Device;
use super::config::{Precision, TrainOptions};
use crate::error::{Result, TrainError};
use crate::tape::Plan;

/// What computes the steps of a training. Both compute the same, each with its own rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainEngine {
    /// On a GPU the tape where it knows the whole model, else candle; on the CPU candle.
    #[default]
    Auto,
    /// The tape: planned, fused, captured; on GPUs, models that it knows.
    Tape,
    /// candle's tensors, with this workspace's kernels as custom operations: every model, on the CPU and on GPUs.
    Candle,
}

impl TrainEngine {
    /// As written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tape => "tape",
            Self::Candle => "candle",
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An engine on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) tape: bool,
    /// The kind of device and engine: two of one kind go on bit for bit after each other.
    pub(super) place: &'static str,
    /// What was chosen and why, where it was left to choose.
    pub(super) note: Option<String>,
}

/// The engine that `train.engine` means for a model on a device.
///
/// # Errors
/// [`TrainError::Config`] for a tape on the CPU, and for options that the engine has not; [`TrainError::Tape`] for a model that the
/// tape, which was asked for, does not know.
pub(super) fn choose(options: &TrainOptions, graph: &Graph, device: &Device) -> Result<Chosen> {
    let on_gpu = !device.is_cpu();
    let chosen = |tape: bool, note: Option<String>| Chosen {
        tape,
        place: match (on_gpu, tape) {
            (false, _) => "cpu",
            (true, true) => "cuda",
            (true, false) => "cuda by candle",
        },
        note,
    };
    match options.engine {
        TrainEngine::Tape if !on_gpu => Err(TrainError::config(
            "train.engine",
            "is \"tape\", which runs on GPUs; use --device cuda, or leave it out",
        )),
        TrainEngine::Tape => Plan::knows(graph).map(|()| chosen(true, None)),
        TrainEngine::Candle => {
            refuse_of_the_tape(options, on_gpu, "train.engine is \"candle\"")?;
            Ok(chosen(false, None))
        }
        TrainEngine::Auto if !on_gpu => {
            refuse_of_the_tape(options, on_gpu, "this run is on the CPU")?;
            Ok(chosen(false, None))
        }
        TrainEngine::Auto => match Plan::knows(graph) {
            Ok(()) => {
                let note =
                    "train.engine is \"auto\": the tape trains, which knows all of this model";
                Ok(chosen(true, Some(note.into())))
            }
            Err(TrainError::Tape(unknown)) => {
                refuse_of_the_tape(options, on_gpu, &unknown.reason())?;
                let note = format!(
                    "train.engine is \"auto\": candle trains on the GPU, because {}",
                    unknown.reason()
                );
                Ok(chosen(false, Some(note)))
            }
            Err(other) => Err(other),
        },
    }
}

/// Options that only the tape has.
fn refuse_of_the_tape(options: &TrainOptions, on_gpu: bool, why: &str) -> Result<()> {
    let precision = options.precision.name();
    let refuse = |key: &str, message: String| Err(TrainError::config(key, message));
    if options.precision != Precision::F32 && on_gpu {
        let message = format!(
            "is {precision}, which the tape has, and {why}; leave it out: candle computes in f32"
        );
        return refuse("train.precision", message);
    }
    if options.precision != Precision::F32 {
        let message =
            format!("is {precision}, which GPUs have; use --device cuda, or leave it out");
        return refuse("train.precision", message);
    }
    if options.tuned && on_gpu {
        let message = format!("chooses among the tape's matrix products, and {why}; leave it out");
        return refuse("train.tuned", message);
    }
    Ok(())
}
