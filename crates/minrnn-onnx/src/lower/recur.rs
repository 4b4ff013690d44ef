//! The recurrence `h[t] = a[t] * h[t-1] + b[t]` in each form, and the states that leave the graph.

use minrnn_model::graph::State;

use super::{Lower, Recurrence, state_dims};
use crate::build::{Builder, ScanBody, Val};
use crate::export::{Form, Lowering};
use crate::ir::{DType, Dim};

/// `h * a + b`, the state first: one engine gave wrong values for the other order inside of a Scan.
pub(super) fn step(b: &mut Builder, h: Val, a: Val, x: Val) -> Val {
    let kept = b.mul(h, a);
    b.add(kept, x)
}

impl Lower<'_> {
    /// Gives h; the last state is kept for the output.
    pub(super) fn recur(&mut self, state: State, a: Val, b: Val, width: usize) -> Val {
        let h0 = self.states[state.index()];
        let (form, lowering, width) = (self.options.form, self.options.lowering, width as i64);
        self.b.enter("scan");
        let (h, h_last) = match (form, lowering) {
            (Form::Step, _) => {
                let h = step(&mut self.b, h0, a, b);
                (h, h)
            }
            (Form::Scan, _) => scan(&mut self.b, h0, a, b, width),
            (Form::Parallel, lowering) => {
                let h = match lowering {
                    Lowering::Blocked => self.blocked(a, b, h0, width),
                    Lowering::KoggeStone => self.kogge_stone(a, b, h0),
                };
                let last = self.time.last_step(&mut self.b, h);
                (h, self.b.squeeze(last, 1))
            }
        };
        self.b.leave();
        self.recurrences.push(Recurrence {
            a,
            b,
            h0,
            h,
            h_last,
        });
        self.last_states.insert(state.index(), h_last);
        h
    }

    /// Every state's value after the run, under the state's output name.
    pub(super) fn state_outputs(&mut self) {
        let graph = self.graph;
        for (i, spec) in graph.states().iter().enumerate() {
            let value = match self.last_states.get(&i) {
                Some(h_last) => *h_last,
                None => {
                    let user = graph
                        .nodes()
                        .iter()
                        .find(|n| n.op.state().is_some_and(|s| s.index() == i));
                    let scope = user.map_or("", |n| n.scope.as_str());
                    self.in_scope(scope, |l| l.last_window(i))
                }
            };
            let dims = state_dims(&self.time, spec);
            self.b.output(&spec.output_name(), value, DType::F32, dims);
        }
    }
}

/// ONNX Scan, batch first. The body's dimensions have no names: a name that it shares with the graph around it would bind
/// both.
fn scan(b: &mut Builder, h0: Val, a: Val, x: Val, width: i64) -> (Val, Val) {
    let row = vec![Dim::Unknown, Dim::Fixed(width)];
    let inputs = [(a, row.clone()), (x, row.clone())];
    let results = b.scan(&[(h0, row.clone())], &inputs, 1, |b, h, x| {
        let next = step(b, h[0], x[0], x[1]);
        ScanBody {
            states: vec![next],
            outputs: vec![(next, row.clone())],
        }
    });
    (results[1], results[0])
}
