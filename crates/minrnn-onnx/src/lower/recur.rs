//! Recurrences in each form, and the states that leave the graph.

use minrnn_model::graph::{Law, State, StateInit};

use super::law::Steps;
use super::{Lower, Recurrence};
use crate::builder::{Builder, ScanBody, Val};
use crate::choices::{Form, Lowering};
use crate::ir::Dim;

/// A recurrence as the lowerings take it: its arguments `[B, T, width]`, its state before the first step `[B, width]`.
pub(super) struct Sequence {
    pub(super) steps: Steps,
    pub(super) x: Vec<Val>,
    pub(super) h0: Vec<Val>,
    pub(super) width: i64,
}

impl Lower<'_> {
    /// Gives h; the last state is kept for the output. `x`: the arguments of the law.
    pub(super) fn recur(&mut self, state: State, law: Law, x: &[Val], width: usize) -> Val {
        let h0 = self.states[state.index()];
        self.b.enter("scan");
        let (a, b) = match *x {
            [a, b] => (Some(a), b),
            _ => (None, x[0]),
        };
        let (a, b) = self.reset_recurrence(state.index(), law, a, b);
        // A reader knows them by their names.
        let b = if a == Some(b) { self.b.identity(b) } else { b };
        let (h, h_last) = self.lowered(law, a, b, h0, width as i64);
        self.b.leave();
        self.recurrences.push(Recurrence {
            law,
            a,
            b,
            h0,
            h,
            h_last,
        });
        self.last_states.insert(state.index(), h_last);
        h
    }

    /// h and the last state.
    fn lowered(&mut self, law: Law, a: Option<Val>, b: Val, h0: Val, width: i64) -> (Val, Val) {
        let steps = match (law, a) {
            (Law::Linear, _) => Steps::Linear,
            (Law::Max, None) => Steps::Max,
            (Law::Max, Some(_)) => Steps::Lowered,
            (Law::Complex, _) => Steps::Complex,
        };
        let (axis, count) = (if self.is_step() { 1 } else { 2 }, steps.states());
        let negated = law == Law::Max;
        let (b, h0) = match negated {
            true => (self.b.neg(b), self.b.neg(h0)),
            false => (b, h0),
        };
        let x: Vec<Val> = a.into_iter().chain([b]).collect();
        let x = x.into_iter().flat_map(|x| self.parts_of(x, count, axis));
        let x = x.collect();
        let sequence = Sequence {
            steps,
            x,
            h0: self.parts_of(h0, count, 1),
            width: width / count as i64,
        };
        if self.is_step() {
            let h = steps.step(&mut self.b, &sequence.h0, &sequence.x);
            let h = self.whole(&h, axis);
            let h = if negated { self.b.neg(h) } else { h };
            return (h, h);
        }
        let (h, mut last) = self.sequence(&sequence);
        let mut h = self.whole(&h, axis);
        if negated {
            h = self.b.neg(h);
            last.clear();
        }
        match last[..] {
            // With lengths the rows' ends are elsewhere; where a state is made of what is scanned, so is its end.
            [last] if !self.options.lengths => (h, last),
            _ => {
                let last = self.time.last_step(&mut self.b, h, width);
                (h, self.b.squeeze(last, 1))
            }
        }
    }

    /// h of all steps and, where the lowering has it by itself, the last state; both in parts.
    fn sequence(&mut self, s: &Sequence) -> (Vec<Val>, Vec<Val>) {
        match (self.options.form, self.options.lowering) {
            (Form::Scan, _) => scan(&mut self.b, s),
            (_, Lowering::LinearAttention) => {
                let (h, last) = self.linear_attention(s.x[0], s.x[1], s.h0[0], s.width);
                (vec![h], vec![last])
            }
            (_, Lowering::OddEven) => (vec![self.odd_even(s)], vec![]),
            (_, Lowering::KoggeStone | Lowering::KoggeStoneConcat) => {
                (vec![self.kogge_stone(s.x[0], s.x[1], s.h0[0])], vec![])
            }
            (_, Lowering::Blocked | Lowering::BlockedScan) => (self.blocked(s), vec![]),
        }
    }

    /// `x` in `count` parts of its channels.
    pub(super) fn parts_of(&mut self, x: Val, count: usize, axis: i64) -> Vec<Val> {
        match count {
            1 => vec![x],
            _ => self.b.split(x, count, axis),
        }
    }

    pub(super) fn whole(&mut self, parts: &[Val], axis: i64) -> Val {
        match *parts {
            [one] => one,
            _ => self.b.concat(parts, axis),
        }
    }

    /// What a reset begins with, in as many parts as the state: `begin` is repeated over the channels where it is one number.
    pub(super) fn begin_of(&mut self, state: usize, begin: Val, count: usize) -> Vec<Val> {
        match self.graph.states()[state].init {
            StateInit::Learned(_) => self.parts_of(begin, count, 2),
            StateInit::Zero | StateInit::Constant(_) => vec![begin; count],
        }
    }
}

/// ONNX Scan, batch first; the last state, and h. The body's dimensions have no names: a name that it shares with the graph around it
/// would bind both.
pub(super) fn scan(b: &mut Builder, s: &Sequence) -> (Vec<Val>, Vec<Val>) {
    let row = vec![Dim::Unknown, Dim::Fixed(s.width)];
    let rows = |x: &[Val]| -> Vec<_> { x.iter().map(|x| (*x, row.clone())).collect() };
    let mut last = b.scan(&rows(&s.h0), &rows(&s.x), 1, |b, h, x| {
        let next = s.steps.step(b, h, x);
        ScanBody {
            outputs: rows(&next),
            states: next,
        }
    });
    let all = last.split_off(s.h0.len());
    (all, last)
}
