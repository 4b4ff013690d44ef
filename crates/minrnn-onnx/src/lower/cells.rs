//! GRU and LSTM as the operators of these names, in the form `scan`: one node a layer, for engines that run it faster than a Scan.
//!
//! The standard has the time first, weights `[1, P D, M]` with the gates in the order z, r, h and i, o, f, c, and both biases in one
//! vector. Parameters stay in the file as they are in all others: the graph turns them, which engines do once, when they open it.
//! `linear_before_reset` is 1: PyTorch's equations multiply the product of the state by r, its bias with it.
//!
//! The operators have no place for resets, and give the last c only, not that of each row's end: there a Scan stays. Weights of fewer
//! bits are read by products, of which the operators show none.

use minrnn_model::graph::{Fused, Region, State};

use super::{Lower, scope_path};
use crate::builder::Val;
use crate::choices::{Form, Weights};
use crate::ir::Attr;

/// Of a cell: the operator, and where the standard's parts are among ours.
fn operator(fused: Fused) -> Option<(&'static str, &'static [usize], bool)> {
    match fused {
        Fused::Gru { bias } => Some(("GRU", &[1, 0, 2], bias)),
        Fused::Lstm { bias } => Some(("LSTM", &[0, 3, 1, 2], bias)),
        _ => None,
    }
}

impl<'a> Lower<'a> {
    /// The cell that begins at a node and is one operator.
    pub(super) fn cell_at(&self, index: usize) -> Option<&'a Region> {
        let o = self.options;
        let plain = o.form == Form::Scan && !o.lengths && !o.reset && o.weights == Weights::F32;
        if !o.fused_cells || !plain {
            return None;
        }
        // Of one channel some engines run no GRU.
        let is_wide = |r: &Region| r.states.iter().all(|s| self.graph.state_spec(*s).width > 1);
        let begins =
            |r: &&Region| r.nodes.start == index && operator(r.fused).is_some() && is_wide(r);
        self.graph.regions().iter().find(begins)
    }

    /// The operator with what turns its arguments and its results; keeps the last states.
    pub(super) fn cell(&mut self, region: &Region) {
        let Some((op, order, biased)) = operator(region.fused) else {
            return;
        };
        let x = self.value(region.inputs[0]);
        let channels = self.graph.state_spec(region.states[0]).width;
        let fold = self.graph.folds().iter();
        let fold = fold
            .map(|f| f.nodes.start)
            .find(|i| region.nodes.contains(i));
        let scope = fold.map_or("", |i| self.graph.nodes()[i].scope.as_str());
        let scope = scope_path(scope);
        self.b.enter(&scope);
        // Matrix and bias of the input, then those of the state.
        let each = 1 + usize::from(biased);
        let [w, r] = [0, each].map(|i| self.turned_gates(self.param(region.params[i]), order, 1));
        let bias = match biased {
            false => self.b.absent(),
            true => {
                let both = [1, each + 1].map(|i| self.param(region.params[i]));
                let both = both.map(|b| self.gates(b, order, 0));
                let both = self.b.concat(&both, 0);
                self.b.unsqueeze(both, 0)
            }
        };
        let x = self.b.transpose(x, &[1, 0, 2]);
        let mut inputs = vec![x, w, r, bias, self.b.absent()];
        for state in &region.states {
            let first = self.states[state.index()];
            inputs.push(self.b.unsqueeze(first, 0));
        }
        let mut attributes = vec![("hidden_size", Attr::Int(channels as i64))];
        if op == "GRU" {
            attributes.push(("linear_before_reset", Attr::Int(1)));
        }
        let results = self
            .b
            .node_n(op, &inputs, 1 + region.states.len(), attributes);
        let y = self.b.squeeze(results[0], 1);
        let y = self.b.transpose(y, &[1, 0, 2]);
        let last: Vec<(State, Val)> = (region.states.iter().zip(&results[1..]))
            .map(|(state, last)| (*state, self.b.squeeze(*last, 0)))
            .collect();
        self.b.leave();
        self.values[region.outputs[0].index()] = Some(y);
        for (state, last) in last {
            self.last_states.insert(state.index(), last);
        }
    }

    /// `[.., P D]` with its parts in the standard's order.
    fn gates(&mut self, packed: Val, order: &[usize], axis: i64) -> Val {
        let parts = self.b.split(packed, order.len(), axis);
        let parts: Vec<Val> = order.iter().map(|i| parts[*i]).collect();
        self.b.concat(&parts, axis)
    }

    /// A matrix `[K, P D]` as `[1, P D, K]`.
    fn turned_gates(&mut self, packed: Val, order: &[usize], axis: i64) -> Val {
        let packed = self.gates(packed, order, axis);
        let turned = self.b.transpose(packed, &[1, 0]);
        self.b.unsqueeze(turned, 0)
    }
}
