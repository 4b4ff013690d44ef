//! What is found wrong of a run before it takes memory.

use minrnn_model::model::Model;

use super::backend::Device;
use super::config::{self, TrainConfig, resolve};
use super::engine;
use crate::error::{Result, TrainError};
use crate::memory::Memory;
use crate::task::Task;

/// Refuses a run that does not fit into the memory, before it takes any.
pub(super) fn check_memory(
    config: &TrainConfig,
    model: &Model,
    task: &dyn Task,
    device: &Device,
) -> Result<()> {
    let Some(limit) = config.train.memory else {
        return Ok(());
    };
    let batch = config.train.batch.div_ceil(config.train.accumulate.max(1));
    let time = task.longest()?;
    let needs = Memory {
        data: config.task.kept()?,
        ..Memory::of(model.graph(), batch, time, device.is_cpu())
    };
    let by_tape = || engine::choose(&config.train, model.graph(), device).is_ok_and(|c| c.tape);
    let needs = match device.is_cpu() && needs.peak() > limit && by_tape() {
        true => needs.planned(model.graph()),
        false => needs,
    };
    needs.check(Some(limit))
}

/// Whether a configuration makes a model for a task: what [`Trainer::new`](super::Trainer::new) finds wrong before it makes weights, memory apart.
///
/// # Errors
/// As [`Trainer::new`](super::Trainer::new).
pub fn fits(config: &TrainConfig, task: &dyn Task) -> Result<()> {
    config.validate()?;
    config::refuse_idle_norms(&config.model)?;
    let resolved = resolve(&config.model, task)?;
    let model = Model::from_config(&resolved)?;
    let config = TrainConfig {
        model: resolved,
        ..config.clone()
    };
    check_length(&config, &model, task)
}

/// Refuses a task whose sequences are longer than the model takes.
pub(super) fn check_length(config: &TrainConfig, model: &Model, task: &dyn Task) -> Result<()> {
    let Some(longest) = model.graph().longest() else {
        return Ok(());
    };
    // A table of positions, or what a mixer says of itself.
    let key = match config.model.positions {
        Some(rows) if rows == longest => "model.positions",
        _ => "model.cell.longest",
    };
    let fail = |what: String| Err(TrainError::config(key, what));
    if config.train.carry_state {
        return fail(format!(
            "is {longest} steps, and streams whose states are carried (train.carry_state) have no end; leave that out"
        ));
    }
    match task.longest()? {
        time if time > longest => fail(format!(
            "is {longest}, and the task has sequences of {time} steps; make it as long, or cut the task's sequences"
        )),
        _ => Ok(()),
    }
}
