//! The input `reset`: where states begin anew.

use std::collections::BTreeMap;

use minrnn_model::graph::{Graph, Law, Param, State, StateInit};
use minrnn_model::params::Params;

use super::Lower;
use super::law::Steps;
use super::time::Time;
use crate::builder::{Builder, TO_END, Val};
use crate::choices::{ExportOptions, Form};
use crate::ir::{DType, Tensor};

/// What the input `reset` needs.
pub(super) struct Resets {
    /// 1 where states begin anew, else 0: `[B, T', 1]` (`step`: `[B, 1]`).
    reset: Val,
    /// `1 - reset`
    keep: Val,
    /// Initial values that are not zeros, by state: `[width]`, or a number.
    initial: Vec<Option<Val>>,
    /// At `n - 1`: whether none of the last n steps is a reset, `[B, T', 1]`.
    kept: Vec<Val>,
    /// At `k`: whether none of the last 2^k steps is a reset, `[B, T', 1]`; where windows are long.
    far: Vec<Val>,
}

impl Resets {
    pub(super) fn new(
        b: &mut Builder,
        time: &mut Time,
        graph: &Graph,
        params: &Params,
        options: &ExportOptions,
        learned: &mut BTreeMap<Param, Val>,
    ) -> Option<Self> {
        if !options.reset {
            return None;
        }
        let step = options.form == Form::Step;
        let mut shape = vec![time.batch_dim()];
        if !step {
            shape.push(time.seq_len_dim());
        }
        let input = b.input("reset", DType::Bool, shape);
        let initial = graph.states().iter().map(|s| match s.init {
            StateInit::Zero => None,
            StateInit::Constant(c) => (c != 0.0).then(|| b.f32(c)),
            StateInit::Learned(p) => Some(*learned.entry(p).or_insert_with(|| {
                let values = params.get(p.index());
                let name = graph.param_spec(p).name.clone();
                b.param(Tensor::f32(name, vec![values.len() as i64], values))
            })),
        });
        let initial = initial.collect();
        let (reset, keep) = b.at_root("reset", |b| {
            let numbers = b.cast(input, DType::F32);
            let reset = b.unsqueeze(numbers, if step { 1 } else { 2 });
            (reset, b.f32(1.0))
        });
        Some(Self {
            reset,
            keep,
            initial,
            kept: vec![],
            far: vec![],
        })
    }

    /// 1 where states begin anew, else 0.
    pub(super) fn reset(&self) -> Val {
        self.reset
    }

    /// `1 - reset`: 1 where states go on.
    pub(super) fn kept_now(&self) -> Val {
        self.keep
    }

    /// The initial value of a state that does not begin with zeros.
    pub(super) fn initial(&self, state: State) -> Option<Val> {
        self.initial[state.index()]
    }

    /// Once the input is known: padded with zeros as the input is.
    pub(super) fn begin(&mut self, b: &mut Builder, time: &mut Time, step: bool) {
        b.at_root("reset", |b| {
            if !step && time.is_padded() {
                self.reset = time.pad(b, self.reset, 0, 1);
            }
            self.keep = b.sub(self.keep, self.reset);
        });
        self.kept = vec![self.keep];
        self.far = vec![self.keep];
    }

    /// Whether none of the last `steps` steps is a reset. Before the sequence's begin there was none that the state that
    /// goes in does not know of.
    fn kept(&mut self, b: &mut Builder, time: &mut Time, steps: usize) -> Val {
        while self.kept.len() < steps {
            let (back, shorter) = (self.kept.len() as i64, self.kept[self.kept.len() - 1]);
            let keep = self.keep;
            let longer = b.at_root("reset", |b| {
                let ones = time.ones(b, back);
                let all = b.concat(&[ones, keep], 1);
                let earlier = b.slice_at(all, 0, -back, 1);
                b.mul(shorter, earlier)
            });
            self.kept.push(longer);
        }
        self.kept[steps - 1]
    }

    /// The same as [`Resets::kept`] in log2(steps) products: the last n steps are two runs of 2^k of them, which may overlap.
    fn kept_far(&mut self, b: &mut Builder, time: &mut Time, steps: usize) -> Val {
        let log = steps.max(1).ilog2() as usize;
        while self.far.len() <= log {
            let run = self.far[self.far.len() - 1];
            let twice = b.at_root("reset", |b| both(b, time, run, 1 << (self.far.len() - 1)));
            self.far.push(twice);
        }
        let run = self.far[log];
        match steps - (1 << log) {
            0 => run,
            back => b.at_root("reset", |b| both(b, time, run, back)),
        }
    }

    /// Whether no reset came after each of the last `lag` inputs of a row, `[B, lag, 1]`, in log2(lag) products.
    fn kept_at_end(&mut self, b: &mut Builder, time: &mut Time, lag: usize) -> Val {
        let keep = self.keep;
        let lag = lag as i64;
        b.at_root("reset", |b| {
            let before = time.ones(b, lag);
            let all = b.concat(&[before, keep], 1);
            let last = time.window_end(b, all, lag, 1);
            let later = |b: &mut Builder, time: &mut Time, x: Val, by: i64| {
                let rest = b.slice_at(x, by, TO_END, 1);
                let ones = time.ones(b, by);
                b.concat(&[rest, ones], 1)
            };
            let (mut kept, mut reach) = (later(b, time, last, 1), 1);
            while reach < lag - 1 {
                let after = later(b, time, kept, reach);
                kept = b.mul(kept, after);
                reach *= 2;
            }
            kept
        })
    }
}

/// Of a run that ends at each step, and the one that ends `back` steps before: whether both are kept.
fn both(b: &mut Builder, time: &mut Time, run: Val, back: usize) -> Val {
    let ones = time.ones(b, back as i64);
    let all = b.concat(&[ones, run], 1);
    let earlier = b.slice_at(all, 0, -(back as i64), 1);
    b.mul(run, earlier)
}

impl Lower<'_> {
    /// A step's states, anew where it is a reset.
    pub(super) fn reset_states(&mut self) {
        let Some(resets) = &self.resets else { return };
        for (i, spec) in self.graph.states().iter().enumerate() {
            let b = &mut self.b;
            let state = self.states[i];
            let (keep, reset, initial) = (resets.keep, resets.reset, resets.initial[i]);
            self.states[i] = b.at_root("reset", |b| {
                let rows = spec.lag().is_some();
                let keep = if rows { b.unsqueeze(keep, 2) } else { keep };
                let kept = b.mul(state, keep);
                let Some(initial) = initial else { return kept };
                let reset = if rows { b.unsqueeze(reset, 2) } else { reset };
                let anew = b.mul(reset, initial);
                b.add(kept, anew)
            });
        }
    }

    /// `a`, `b` of a recurrence in whose steps with a reset the initial value stands in the place of `h[t-1]`.
    pub(super) fn reset_recurrence(
        &mut self,
        state: usize,
        law: Law,
        a: Option<Val>,
        x: Val,
    ) -> (Option<Val>, Val) {
        let (Some(resets), false) = (&self.resets, self.is_step()) else {
            return (a, x);
        };
        let (keep, reset, initial) = (resets.keep, resets.reset, resets.initial[state]);
        let b = &mut self.b;
        let Some(a) = a else {
            // Nothing is larger than what was but what lowers that first: by the lowest number, below which nothing is.
            let width = self.graph.states()[state].width as i64;
            let lowest = b.f32_filled(&[1, 1, width], f32::MIN);
            let lowered = b.mul(reset, lowest);
            let mut begin = b.mul(keep, lowest);
            if let Some(initial) = initial {
                let anew = b.mul(reset, initial);
                begin = b.add(begin, anew);
            }
            let negated = [x, begin].map(|x| b.neg(x));
            let least = b.min(negated[0], negated[1]);
            return (Some(lowered), b.neg(least));
        };
        let kept = Some(b.mul(a, keep));
        let Some(initial) = initial else {
            return (kept, x);
        };
        let begin = b.mul(reset, initial);
        if law != Law::Complex {
            return (kept, Steps::Linear.step(b, &[begin], &[a, x])[0]);
        }
        let begin = self.begin_of(state, begin, 2);
        let parts = [a, x].map(|x| self.parts_of(x, 2, 2)).concat();
        let first = Steps::Complex.step(&mut self.b, &begin, &parts);
        (kept, self.whole(&first, 2))
    }

    /// `x[t - by]`, the initial value where a reset is between.
    pub(super) fn reset_delay(&mut self, state: State, by: usize, x: Val) -> Val {
        let stepped = self.is_stepped(state.index());
        let (Some(resets), false) = (&mut self.resets, self.options.form == Form::Step) else {
            return x;
        };
        let kept = if stepped {
            resets.kept(&mut self.b, &mut self.time, by)
        } else {
            resets.kept_far(&mut self.b, &mut self.time, by)
        };
        self.begun(state.index(), x, kept)
    }

    /// The last `lag` inputs, oldest first, the initial value where a reset came after them.
    pub(super) fn reset_window(&mut self, state: usize, lag: usize, window: Val) -> Val {
        let stepped = self.is_stepped(state);
        let (Some(resets), false) = (&mut self.resets, self.options.form == Form::Step) else {
            return window;
        };
        let mask = if stepped {
            let mut masks = vec![];
            for by in (1..lag).rev() {
                let kept = resets.kept(&mut self.b, &mut self.time, by);
                masks.push(self.time.last_step(&mut self.b, kept, 1));
            }
            let time = &mut self.time;
            masks.push(self.b.at_root("reset", |b| time.ones(b, 1)));
            match masks[..] {
                [one] => one,
                _ => self.b.concat(&masks, 1),
            }
        } else {
            resets.kept_at_end(&mut self.b, &mut self.time, lag)
        };
        self.begun(state, window, mask)
    }

    /// `x` where `kept` is 1, the state's initial value where it is 0.
    fn begun(&mut self, state: usize, x: Val, kept: Val) -> Val {
        let b = &mut self.b;
        let x = b.mul(x, kept);
        let Some(initial) = self.resets.as_ref().and_then(|r| r.initial[state]) else {
            return x;
        };
        let one = b.f32(1.0);
        let begun = b.sub(one, kept);
        let initial = b.mul(begun, initial);
        b.add(x, initial)
    }
}
