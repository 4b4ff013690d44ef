//! What an optimizer must keep for a run to go on exactly.

use std::collections::BTreeMap;

use super::rule::{Rule, Slot};
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};

/// Step count, and what the rule remembers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerState {
    /// Updates done so far.
    pub step: u64,
    /// By name of the slot, then of the parameter, in the parameter's shape.
    pub slots: BTreeMap<String, BTreeMap<String, TensorData>>,
}

impl OptimizerState {
    /// Adds a parameter with its slots, in the order of the rule.
    pub(crate) fn insert(&mut self, rule: &dyn Rule, name: &str, slots: Vec<TensorData>) {
        for (slot, tensor) in rule.slots().iter().zip(slots) {
            let all = self.slots.entry(slot.name.to_owned()).or_default();
            all.insert(name.to_owned(), tensor);
        }
    }

    /// The slots of each of `parameters` (name and shape), in the order of the rule.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the parameter that is unknown, or whose slot is missing, of another shape, or holds
    /// numbers that the rule cannot have made.
    pub(crate) fn of(
        &self,
        rule: &dyn Rule,
        parameters: &[(&str, &[usize])],
    ) -> Result<Vec<Vec<&TensorData>>> {
        let known = |name: &str| parameters.iter().any(|(known, _)| *known == name);
        let mut names = self.slots.values().flat_map(BTreeMap::keys);
        if let Some(stranger) = names.find(|name| !known(name)) {
            let message = "is in the optimizer's state, but is no parameter of the model";
            return Err(TrainError::tensor(stranger, message));
        }
        let slots = |(name, shape): &(&str, &[usize])| {
            let each = rule.slots().iter();
            each.map(|slot| self.slot(slot, name, shape)).collect()
        };
        parameters.iter().map(slots).collect()
    }

    fn slot(&self, slot: &Slot, name: &str, shape: &[usize]) -> Result<&TensorData> {
        let wrong = |what: String| {
            let message = format!("its {} {what}", slot.title);
            Err(TrainError::tensor(name, message))
        };
        let Some(found) = self.slots.get(slot.name).and_then(|all| all.get(name)) else {
            return wrong("is not in the optimizer's state".to_owned());
        };
        found.check(name)?;
        if found.shape != shape {
            return wrong(format!("has shape {:?}, expected {shape:?}", found.shape));
        }
        if let Some(value) = found.data.iter().find(|v| !v.is_finite()) {
            return wrong(format!("has {value}, expected finite numbers"));
        }
        match found.data.iter().find(|v| slot.positive && **v < 0.0) {
            Some(negative) => wrong(format!("has {negative}, expected 0 or more")),
            None => Ok(found),
        }
    }
}
