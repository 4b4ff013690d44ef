//! What an optimizer must keep for a run to go on exactly.

use std::collections::BTreeMap;

use crate::checkpoint::TensorData;

/// Step count and moments of AdamW, by name of the parameter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerState {
    /// Updates done so far.
    pub step: u64,
    /// Running means of the gradients, in the shapes of the parameters.
    pub first: BTreeMap<String, TensorData>,
    /// Running means of the squared gradients.
    pub second: BTreeMap<String, TensorData>,
}
