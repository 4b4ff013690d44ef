//! What an optimizer must keep for a run to go on exactly.

use std::collections::BTreeMap;

use super::rule::{Kind, Rule, Slot};
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};

/// Of a slot that the rule has not.
const OTHER: &str = "which another optimizer remembers: go on with that one (train.optimizer), or begin a new run with the weights";

/// A parameter as a state knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
}

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
    pub(crate) fn insert(
        &mut self,
        rule: &dyn Rule,
        (name, kind): (&str, Kind),
        slots: Vec<TensorData>,
    ) {
        for (slot, tensor) in rule.slots(kind).iter().zip(slots) {
            let all = self.slots.entry(slot.name.to_owned()).or_default();
            all.insert(name.to_owned(), tensor);
        }
    }

    /// The slots of each of `parameters`, in the order of the rule.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the parameter that is unknown, or whose slot is missing, another rule's, of another shape,
    /// or holds numbers that the rule cannot have made.
    pub(crate) fn of(
        &self,
        rule: &dyn Rule,
        parameters: &[&Named],
    ) -> Result<Vec<Vec<&TensorData>>> {
        let known = |name: &str| parameters.iter().any(|p| p.name == name);
        let mut names = self.slots.values().flat_map(BTreeMap::keys);
        if let Some(stranger) = names.find(|name| !known(name)) {
            let message = "is in the optimizer's state, but is no parameter of the model";
            return Err(TrainError::tensor(stranger, message));
        }
        let slots = |p: &&Named| {
            let own = rule.slots(p.kind);
            let foreign = |slot: &&String| !own.iter().any(|s| s.name == **slot);
            let of = self
                .slots
                .iter()
                .filter(|(_, all)| all.contains_key(&p.name));
            if let Some(slot) = of.map(|(slot, _)| slot).find(foreign) {
                let message = format!("the optimizer's state has its `{slot}`, {OTHER}");
                return Err(TrainError::tensor(&p.name, message));
            }
            let each = own.iter();
            each.map(|slot| self.slot(slot, &p.name, &p.shape))
                .collect()
        };
        parameters.iter().map(slots).collect()
    }

    /// One slot of a parameter.
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
