//! The two passes of a plan: units in order, then what each has to do for the gradients, in reverse.

use minrnn_model::graph::StateInit;

use super::op::{self, Known, Unknown};
use super::planner::Planner;
use super::units::Unit;
use crate::error::{Result, TrainError};

impl Planner<'_> {
    /// Adds the launches of a unit.
    pub(super) fn forward(&mut self, unit: Unit, known: &Known) -> Result<(), Unknown> {
        match unit {
            Unit::Region(r) => {
                let region = self.graph.regions()[r].clone();
                match known.layer(region.fused) {
                    Some(layer) => layer(self, &region),
                    None => return Err(Unknown::new(self.graph, region.nodes.start)),
                }
            }
            Unit::Split(r) => {
                return Err(Unknown::new(
                    self.graph,
                    self.graph.regions()[r].nodes.start,
                ));
            }
            Unit::Part { region, value } => op::part(self, region, value),
            Unit::Gate(of) => op::gate(self, of),
            // The model's input has its memory already.
            Unit::Node(0) => {}
            Unit::Node(i) => known.node(self, i)?,
            Unit::Embed { node, mask, value } => {
                let graph = self.graph;
                op::embed(self, &graph.nodes()[node], Some(mask), value)
                    .ok_or_else(|| Unknown::new(graph, node))?;
            }
            Unit::Sum {
                x,
                branch,
                mask,
                value,
                norm,
            } => op::sum(self, x, branch, mask, value, norm),
        }
        Ok(())
    }

    /// Adds the launches that give every parameter its gradient.
    pub(super) fn backward(&mut self) -> Result<()> {
        while let Some(back) = self.tape.pop() {
            back(self);
        }
        for (state, place) in std::mem::take(&mut self.delay_states) {
            let spec = &self.graph.states()[state];
            if let StateInit::Learned(p) = spec.init {
                op::column_sum(self, place, p, 0, self.options.batch, spec.len());
            }
        }
        op::without_gradient(self);
        let missing = self.layout.trained.iter().find(|p| !self.written[**p]);
        match missing {
            Some(p) => Err(TrainError::NoGradient {
                tensor: self.graph.params()[*p].name.clone(),
                step: 0,
            }),
            None => Ok(()),
        }
    }
}
