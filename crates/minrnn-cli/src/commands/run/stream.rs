//! Step by step through a step file.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use minrnn_runtime::{Head, Model, Output, Session, State};

use super::data::Data;
use super::lengths::Lengths;

/// The output of all steps, or of each row's last one, and each row's state at its own end.
pub(super) fn run(
    model: Arc<Model>,
    data: &Data,
    lengths: &Lengths,
    state: State,
) -> Result<(Output, State)> {
    let per_step = model.info().head == Head::PerStep;
    let (batch, time) = (data.batch, data.time);
    if time == 0 {
        bail!("there is nothing to run: T = 0; give at least one step");
    }
    let mut session = Session::new(model, batch)?;
    session.set_state(state)?;
    let mut ended: Vec<Option<State>> = vec![None; batch];
    let mut values = vec![];
    let mut width = 0;
    for t in 0..time {
        let output = data.step(&mut session, t);
        let output = output.with_context(|| format!("step {t} (counted from 0)"))?;
        width = output.shape.last().copied().unwrap_or(0);
        let steps = if per_step { time } else { 1 };
        values.resize(batch * steps * width, 0.0);
        for (row, ended) in ended.iter_mut().enumerate() {
            if t < lengths.of(row, time) {
                let at = (row * steps + if per_step { t } else { 0 }) * width;
                let made = &output.values[row * width..(row + 1) * width];
                values[at..at + width].copy_from_slice(made);
            }
            if t + 1 == lengths.of(row, time) {
                *ended = Some(session.state().select(&[row])?);
            }
        }
    }
    let shape = match per_step {
        true => vec![batch, time, width],
        false => vec![batch, width],
    };
    let ended: Vec<&State> = ended.iter().flatten().collect();
    let state = State::stack(&ended)?;
    Ok((Output { values, shape }, state))
}
