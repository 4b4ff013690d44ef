//! The recurrence `h[t] = a[t] * h[t-1] + b[t]` in each form, and the states that leave the graph.

use minrnn_model::graph::State;

use super::{Lower, Recurrence};
use crate::builder::{Builder, ScanBody, Val};
use crate::choices::{Form, Lowering};
use crate::ir::Dim;

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
        let (a, b) = self.reset_recurrence(state.index(), a, b);
        // A reader knows them by their names.
        let b = if a == b { self.b.identity(b) } else { b };
        let (h, h_last) = match (form, lowering) {
            (Form::Step, _) => {
                let h = step(&mut self.b, h0, a, b);
                (h, h)
            }
            (Form::Scan, _) => {
                let (h, last) = scan(&mut self.b, h0, a, b, width);
                (h, self.last_row(h, width).unwrap_or(last))
            }
            (Form::Parallel, Lowering::LinearAttention) => {
                let (h, last) = self.linear_attention(a, b, h0, width);
                (h, self.last_row(h, width).unwrap_or(last))
            }
            (Form::Parallel, lowering) => {
                let h = match lowering {
                    Lowering::OddEven => self.odd_even(a, b, h0, width),
                    Lowering::KoggeStone | Lowering::KoggeStoneConcat => self.kogge_stone(a, b, h0),
                    _ => self.blocked(a, b, h0, width),
                };
                let last = self.time.last_step(&mut self.b, h, width);
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

    /// The value at each row's end, where rows have lengths of their own.
    fn last_row(&mut self, h: Val, width: i64) -> Option<Val> {
        if !self.options.lengths {
            return None;
        }
        let last = self.time.last_step(&mut self.b, h, width);
        Some(self.b.squeeze(last, 1))
    }
}

/// ONNX Scan, batch first. The body's dimensions have no names: a name that it shares with the graph around it would bind
/// both.
pub(super) fn scan(b: &mut Builder, h0: Val, a: Val, x: Val, width: i64) -> (Val, Val) {
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
