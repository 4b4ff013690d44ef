//! States that a training carries from step to step: in a row as the tape keeps them, and by name as a checkpoint does.

use std::collections::BTreeMap;
use std::path::Path;

use minrnn_model::graph::{Graph, StateSpec};

use crate::checkpoint::TensorData;
use crate::error::{CheckpointProblem, Result, TrainError};

/// States `[B, ..]` of all rows of values, in the graph's order.
pub(super) fn split(graph: &Graph, values: &[f32]) -> Vec<TensorData> {
    let each: usize = graph.states().iter().map(StateSpec::len).sum();
    let batch = values.len() / each.max(1);
    let mut at = 0;
    let state = |spec: &StateSpec| {
        let from = at;
        at += batch * spec.len();
        TensorData {
            shape: [vec![batch], spec.shape()].concat(),
            data: values[from..at].to_vec(),
        }
    };
    graph.states().iter().map(state).collect()
}

/// The same, back.
pub(super) fn join(states: &[&TensorData]) -> Vec<f32> {
    states.iter().flat_map(|s| s.data.iter().copied()).collect()
}

/// By name, for a checkpoint.
pub(super) fn named(graph: &Graph, states: Vec<TensorData>) -> BTreeMap<String, TensorData> {
    let names = graph.states().iter().map(|spec| spec.name.clone());
    names.zip(states).collect()
}

/// Those of a checkpoint in the graph's order; `path` is for messages.
///
/// # Errors
/// [`TrainError::Checkpoint`] naming the state that is missing, unknown, or of another shape.
pub(super) fn ordered<'c>(
    graph: &Graph,
    found: &'c BTreeMap<String, TensorData>,
    batch: usize,
    path: &Path,
) -> Result<Vec<&'c TensorData>> {
    let wrong =
        |message: String| TrainError::checkpoint(path, CheckpointProblem::Malformed { message });
    let known = |name: &String| graph.states().iter().any(|spec| spec.name == *name);
    if let Some(stranger) = found.keys().find(|name| !known(name)) {
        return Err(wrong(format!("the model has no state `{stranger}`")));
    }
    let state = |spec: &StateSpec| {
        let name = &spec.name;
        let missing = || wrong(format!("the state `{name}` is missing"));
        let state = found.get(name).ok_or_else(missing)?;
        let wanted = [vec![batch], spec.shape()].concat();
        if state.shape != wanted {
            let shape = &state.shape;
            let message = format!("the state `{name}` has shape {shape:?}, expected {wanted:?}");
            return Err(wrong(message));
        }
        state.check(name)?;
        Ok(state)
    };
    graph.states().iter().map(state).collect()
}
