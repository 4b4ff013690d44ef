//! Which engine computes the steps of a training, and the backend of it.

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::backend::{Backend, Device};
use super::candle::Candle;
use super::config::{TrainConfig, TrainEngine, TrainOptions};
use super::cpu::Cpu;
#[cfg(feature = "cuda")]
use super::cuda::Cuda;
use super::precision::Precision;
use crate::error::{Result, TrainError};
use crate::tape::Plan;

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
/// [`TrainError::Config`] for options that the engine has not; [`TrainError::Tape`] for a model that the tape, which was asked
/// for, does not know.
pub(super) fn choose(options: &TrainOptions, graph: &Graph, device: &Device) -> Result<Chosen> {
    let on_gpu = !device.is_cpu();
    let chosen = |tape: bool, note: Option<String>| Chosen {
        tape,
        place: match (on_gpu, tape) {
            (false, true) => "cpu by the tape",
            (false, false) => "cpu",
            (true, true) => "cuda",
            (true, false) => "cuda by candle",
        },
        note,
    };
    refuse_of_gpus(options, on_gpu)?;
    let other = of_candle(options);
    match (options.engine, other) {
        (TrainEngine::Candle, _) => {
            refuse_of_the_tape(options, "train.engine is \"candle\"")?;
            Ok(chosen(false, None))
        }
        (TrainEngine::Tape, Some((key, what))) => Err(TrainError::config(
            key,
            format!("is {what}; train.engine = \"candle\" has it"),
        )),
        (TrainEngine::Tape, None) => known(options, graph, on_gpu).map(|()| chosen(true, None)),
        (TrainEngine::Auto, other) => {
            let why = match other {
                Some((key, what)) => format!("{key} is {what}"),
                None => match known(options, graph, on_gpu) {
                    Ok(()) => return Ok(chosen(true, on_gpu.then(|| KNOWS_ALL.into()))),
                    Err(TrainError::Tape(unknown)) => unknown.reason(),
                    Err(other) => return Err(other),
                },
            };
            refuse_of_the_tape(options, &why)?;
            let place = if on_gpu { "GPU" } else { "CPU" };
            let note =
                format!("train.engine is \"auto\": candle trains on the {place}, because {why}");
            Ok(chosen(false, Some(note)))
        }
    }
}

/// Whether the tape knows everything in a graph, and can carry its states where it is to.
fn known(options: &TrainOptions, graph: &Graph, on_gpu: bool) -> Result<()> {
    match options.carry_state {
        true => Plan::knows_carried(graph),
        false => Plan::knows(graph),
    }?;
    match on_gpu {
        true => Plan::knows_on_gpus(graph),
        false => Ok(()),
    }
}

const KNOWS_ALL: &str = "train.engine is \"auto\": the tape trains, which knows all of this model";

/// An option that only candle has: its key, and what of it the tape lacks.
fn of_candle(options: &TrainOptions) -> Option<(&'static str, String)> {
    let loss = options.loss.beyond_kernels()?;
    let what = format!("{loss}, for which the tape has no kernel");
    Some(("train.loss", what))
}

/// Options that GPUs alone have.
fn refuse_of_gpus(options: &TrainOptions, on_gpu: bool) -> Result<()> {
    if options.precision == Precision::F32 || on_gpu {
        return Ok(());
    }
    let precision = options.precision.name();
    let message = format!("is {precision}, which GPUs have; use --device cuda, or leave it out");
    Err(TrainError::config("train.precision", message))
}

/// Options that only the tape on a GPU has.
fn refuse_of_the_tape(options: &TrainOptions, why: &str) -> Result<()> {
    let refuse = |key: &str, message: String| Err(TrainError::config(key, message));
    if options.precision != Precision::F32 {
        let precision = options.precision.name();
        let message = format!(
            "is {precision}, which the tape has, and {why}; leave it out: candle computes in f32"
        );
        return refuse("train.precision", message);
    }
    if options.tuned {
        let message = format!("chooses among the tape's matrix products, and {why}; leave it out");
        return refuse("train.tuned", message);
    }
    Ok(())
}

/// The backend of a device, the tape or candle, with `params` as first values, statistics included.
pub(super) fn open(
    config: &TrainConfig,
    graph: &Graph,
    params: &Params,
    device: &Device,
    tape: bool,
) -> Result<Box<dyn Backend>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) if tape => Ok(Box::new(Cuda::new(gpu, config, graph, params)?)),
        Device::Cpu if tape => Ok(Box::new(Cpu::new(config, graph, params)?)),
        device => {
            let device = device.of_candle()?;
            Ok(Box::new(Candle::new(config, graph, params, &device)?))
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
