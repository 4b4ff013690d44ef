//! What a finished graph must keep.

use super::{Graph, Op, State, Value};
use crate::error::{ModelError, Result};

impl Graph {
    /// Every state has one user (a delay may be read at several lags, of one input; a recurrence may be delayed); regions keep their inner values.
    pub(super) fn check(&self) -> Result<()> {
        if self.input_is_output() {
            return Err(self.shape_error("output", "is the input itself"));
        }
        if self.span(self.output().value).is_model() {
            let what = "is computed from parameters alone, and depends on no input";
            return Err(self.shape_error("output", what));
        }
        self.check_names()?;
        (0..self.states.len()).try_for_each(|i| self.check_state(State(i)))?;
        for region in &self.regions {
            let inner = |v: &Value| region.nodes.contains(&v.0) && !region.outputs.contains(v);
            let outside = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(i, _)| !region.nodes.contains(i));
            if outside.flat_map(|(_, n)| &n.inputs).any(inner) || inner(&self.output().value) {
                let first = self.nodes.get(region.nodes.start);
                let scope = first.map_or("", |n| n.scope.as_str());
                return Err(self.shape_error("region", format!("`{scope}` leaks an inner value")));
            }
        }
        Ok(())
    }

    fn input_is_output(&self) -> bool {
        self.output().value == Value(0)
    }

    fn check_state(&self, state: State) -> Result<()> {
        let name = self.state_spec(state).name.clone();
        let users: Vec<_> = self
            .nodes
            .iter()
            .filter(|n| n.op.state() == Some(state))
            .collect();
        let fail = |what: &str| {
            Err(ModelError::State {
                name: name.clone(),
                what: what.into(),
            })
        };
        match users[..] {
            [] => fail("is used by no operation"),
            // Made together by Graph::fold.
            [first, last]
                if matches!((first.op, last.op), (Op::Before { .. }, Op::Fold { .. })) =>
            {
                Ok(())
            }
            [first, ref rest @ ..] if matches!(first.op, Op::Recur { .. }) => {
                // A delay of it was held to this very recurrence when it was made.
                if rest.iter().all(|n| matches!(n.op, Op::Delay { .. })) {
                    return Ok(());
                }
                fail("is used by more than one recurrence, or delays different values")
            }
            [first, ref rest @ ..] => {
                let delay =
                    |n: &&super::Node| matches!(n.op, Op::Delay { .. }) && n.inputs == first.inputs;
                if rest.is_empty()
                    || (matches!(first.op, Op::Delay { .. }) && rest.iter().all(delay))
                {
                    return Ok(());
                }
                fail("is used by more than one recurrence, or delays different values")
            }
        }
    }
}
