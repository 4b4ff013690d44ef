//! What the optimizer's rule remembers, between a tape's memory and a checkpoint: the same for every device.

use std::sync::Arc;

use minrnn_model::graph::Graph;

use crate::checkpoint::TensorData;
use crate::error::Result;
use crate::optim::{Kind, Named, OptimizerState, Rule};

/// Position of a parameter, and what is remembered of it, slot by slot.
type Slots<T> = (usize, Vec<T>);

/// The parameters of a graph and the rule.
#[derive(Debug)]
pub(super) struct Remembered {
    parameters: Vec<Named>,
    rule: Arc<dyn Rule>,
}

impl Remembered {
    pub(super) fn new(graph: &Graph, rule: Arc<dyn Rule>) -> Self {
        let specs = graph.params().iter().zip(Kind::of(graph));
        let named = specs.map(|(spec, kind)| Named {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            kind,
        });
        Self {
            parameters: named.collect(),
            rule,
        }
    }

    /// The state after so many updates.
    pub(super) fn state(&self, step: u64, slots: Vec<Slots<Vec<f32>>>) -> OptimizerState {
        let mut state = OptimizerState {
            step,
            ..OptimizerState::default()
        };
        for (i, slots) in slots {
            let Named { name, shape, kind } = &self.parameters[i];
            let tensor = |data| TensorData {
                shape: shape.clone(),
                data,
            };
            let tensors = slots.into_iter().map(tensor).collect();
            state.insert(&*self.rule, (name, *kind), tensors);
        }
        state
    }

    /// The slots of the parameters at `trained` from a state.
    ///
    /// # Errors
    /// [`TrainError::Tensor`](crate::TrainError::Tensor) naming the parameter that the state does not fit.
    pub(super) fn slots<'s>(
        &self,
        state: &'s OptimizerState,
        trained: &[usize],
    ) -> Result<Vec<Slots<&'s [f32]>>> {
        let named: Vec<&Named> = trained.iter().map(|i| &self.parameters[*i]).collect();
        let found = state.of(&*self.rule, &named)?.into_iter();
        let found = found.map(|slots| slots.into_iter().map(|s| s.data.as_slice()).collect());
        Ok(trained.iter().copied().zip(found).collect())
    }
}
