//! Parts of a step's batch, which run one after the other; the optimizer runs behind the last one, on the sum of their gradients.

use minrnn_model::graph::Graph;

use super::inputs::Inputs;
use crate::error::{Result, TrainError};

/// Some sequences of a step's batch, those behind the ones of the part before.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// They.
    pub inputs: Inputs<'a>,
    /// What its mean loss and its gradients are multiplied by in the sum. 0: it runs for its states alone.
    pub share: f64,
    /// Seed of its dropout.
    pub seed: u64,
}

/// Whether parts are of this graph and carried values their states: how many sequences they have.
///
/// # Errors
/// Those of [`Inputs::check`] and [`Inputs::check_carried`]; no part.
pub(super) fn check(parts: &[Part<'_>], graph: &Graph, carried: Option<usize>) -> Result<usize> {
    let Some(first) = parts.first() else {
        return Err(TrainError::config("train.batch", "has no sequence"));
    };
    parts.iter().try_for_each(|part| part.inputs.check(graph))?;
    let all = Inputs {
        batch: parts.iter().map(|part| part.inputs.batch).sum(),
        ..first.inputs
    };
    if let Some(found) = carried {
        all.check_carried(graph, found)?;
    }
    Ok(all.batch)
}
