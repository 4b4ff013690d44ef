//! Windows: the past and present rows of an input, slices of them, and what is left of them at the end. A window costs no more nodes than
//! one of 16 rows, whatever its lag, but for those whose every row is read; resets cost some for each doubling of it.

use std::collections::BTreeSet;

use minrnn_model::graph::{Node, Op, State, Value};

use super::Lower;
use crate::builder::{TO_END, Val};

/// Rows of a window whose resets are followed step by step.
const SHORT: usize = 16;

impl Lower<'_> {
    /// `x[t - by]`, `[B, T, width]` (step: `[B, width]`); of a recurrence its value of the step before.
    pub(super) fn delay(&mut self, state: State, by: usize, x: Val) -> Val {
        if by == 0 {
            self.window(state, x);
            return x;
        }
        let lag = self.graph.state_spec(state).lag();
        if self.is_step() && lag.is_none() {
            return self.states[state.index()];
        }
        let window = self.window(state, x);
        let lag = lag.unwrap_or(by);
        let (start, by) = ((lag - by) as i64, by as i64);
        if self.is_step() {
            let one = self.b.slice_at(window, start, start + 1, 1);
            return self.b.squeeze(one, 1);
        }
        let earlier = self.b.slice_at(window, start, -by, 1);
        self.reset_delay(state, by as usize, earlier)
    }

    /// The last `lag` inputs and the present ones: `[B, lag + T, width]`.
    pub(super) fn window(&mut self, state: State, x: Val) -> Val {
        if let Some(window) = self.windows.get(&state.index()) {
            return *window;
        }
        let mut past = self.states[state.index()];
        if self.graph.state_spec(state).lag().is_none() {
            past = self.b.unsqueeze(past, 1);
        }
        let present = if self.is_step() {
            self.b.unsqueeze(x, 1)
        } else {
            x
        };
        let window = self.b.concat(&[past, present], 1);
        self.windows.insert(state.index(), window);
        window
    }

    /// The last `lag` entries of the window before padding: right also for T < lag.
    pub(super) fn last_window(&mut self, state: usize) -> Val {
        let window = self.windows[&state];
        let spec = &self.graph.states()[state];
        let (lag, width) = (spec.lag().unwrap_or(0), spec.width);
        if self.is_step() {
            return self.b.slice_at(window, 1, TO_END, 1);
        }
        self.time
            .window_end(&mut self.b, window, lag as i64, width as i64)
    }

    /// The last step of each row.
    pub(super) fn last(&mut self, of: Value, x: Val) -> Val {
        if self.is_step() {
            return x;
        }
        let width = self.graph.width(of) as i64;
        let last = self.time.last_step(&mut self.b, x, width);
        self.b.squeeze(last, 1)
    }

    /// Whether resets go through the window step by step: where it is short, or every row of it is read, so that there are as many nodes
    /// as rows in any case.
    pub(super) fn is_stepped(&self, state: usize) -> bool {
        let lag = self.graph.states()[state].lag();
        if lag.is_none_or(|lag| lag <= SHORT) {
            return true;
        }
        let convolved = |n: &Node| matches!(n.op, Op::Conv { state: s } if s.index() == state);
        if self.graph.nodes().iter().any(convolved) {
            return true;
        }
        let delays = self.graph.nodes().iter().filter_map(|n| match n.op {
            Op::Delay { state: s, by } if s.index() == state && by > 0 => Some(by),
            _ => None,
        });
        let read: BTreeSet<usize> = delays.collect();
        lag == Some(read.len())
    }
}
