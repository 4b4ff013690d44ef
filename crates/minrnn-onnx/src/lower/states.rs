//! States in and out of the graph, as the file's ports say: one by one or stacked, with their axes in the port's order.

use minrnn_model::graph::{Graph, StateInit};
use minrnn_model::params::Params;

use super::Lower;
use super::time::Time;
use crate::build::{Builder, Val};
use crate::export::{ExportOptions, Form, Port};
use crate::ir::{DType, Dim, Tensor};

/// `[batch, ..]`
fn dims(time: &Time, port: &Port) -> Vec<Dim> {
    std::iter::once(time.batch_dim())
        .chain(port.shape.iter().map(|d| Dim::Fixed(*d as i64)))
        .collect()
}

/// Makes the inputs; gives each state as `[B, D]` or `[B, lag, W]`, in the order of the model's.
pub(super) fn inputs(b: &mut Builder, time: &Time, ports: &[Port], count: usize) -> Vec<Val> {
    let mut states = vec![None; count];
    for port in ports {
        let whole = b.input(&port.input, DType::F32, dims(time, port));
        let parts = if port.stacked {
            b.at_root("state", |b| unstack(b, whole, port.members.len()))
        } else if port.transposed {
            vec![b.at_root("state", |b| b.transpose(whole, &[0, 2, 1]))]
        } else {
            vec![whole]
        };
        for (member, part) in port.members.iter().zip(parts) {
            states[*member] = Some(part);
        }
    }
    let every = states
        .into_iter()
        .map(|s| s.expect("ports hold every state"));
    every.collect()
}

fn unstack(b: &mut Builder, whole: Val, count: usize) -> Vec<Val> {
    let parts = match count {
        1 => vec![whole],
        _ => b.split(whole, count, 1),
    };
    parts.into_iter().map(|part| b.squeeze(part, 1)).collect()
}

/// What the input `reset` needs.
pub(super) struct Resets {
    /// 1 where states begin anew, else 0: `[B, T', 1]` (`step`: `[B, 1]`).
    reset: Val,
    /// `1 - reset`
    keep: Val,
    /// Learned initial values, by state.
    initial: Vec<Option<Val>>,
    /// At `n - 1`: whether none of the last n steps is a reset, `[B, T', 1]`.
    kept: Vec<Val>,
}

impl Resets {
    pub(super) fn new(
        b: &mut Builder,
        time: &mut Time,
        graph: &Graph,
        params: &Params,
        options: &ExportOptions,
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
            StateInit::Learned(p) => {
                let values = params.get(p.index());
                let name = graph.param_spec(p).name.clone();
                let tensor = Tensor::f32(name, vec![values.len() as i64], values);
                Some(b.param(tensor))
            }
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
        })
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
                let keep = if spec.lag.is_some() {
                    b.unsqueeze(keep, 2)
                } else {
                    keep
                };
                let kept = b.mul(state, keep);
                let Some(initial) = initial else { return kept };
                let anew = b.mul(reset, initial);
                b.add(kept, anew)
            });
        }
    }

    /// `a`, `b` of a recurrence in whose steps with a reset the initial value stands in the place of `h[t-1]`.
    pub(super) fn reset_recurrence(&mut self, state: usize, a: Val, x: Val) -> (Val, Val) {
        let (Some(resets), false) = (&self.resets, self.is_step()) else {
            return (a, x);
        };
        let b = &mut self.b;
        let kept = b.mul(a, resets.keep);
        let Some(initial) = resets.initial[state] else {
            return (kept, x);
        };
        let begin = b.mul(resets.reset, initial);
        let first = b.mul(begin, a);
        (kept, b.add(first, x))
    }

    /// `x[t - by]`, zero where a reset is between.
    pub(super) fn reset_delay(&mut self, by: usize, x: Val) -> Val {
        match &mut self.resets {
            Some(resets) if !self.options_step => {
                let kept = resets.kept(&mut self.b, &mut self.time, by);
                self.b.mul(x, kept)
            }
            _ => x,
        }
    }

    /// The last `lag` inputs, oldest first, zero where a reset came after them.
    fn reset_window(&mut self, lag: usize, window: Val) -> Val {
        let (Some(resets), false) = (&mut self.resets, self.options_step) else {
            return window;
        };
        let mut masks = vec![];
        for by in (1..lag).rev() {
            let kept = resets.kept(&mut self.b, &mut self.time, by);
            masks.push(self.time.last_step(&mut self.b, kept, 1));
        }
        let time = &mut self.time;
        masks.push(self.b.at_root("reset", |b| time.ones(b, 1)));
        let mask = match masks[..] {
            [one] => one,
            _ => self.b.concat(&masks, 1),
        };
        self.b.mul(window, mask)
    }

    /// Every state's value after the run, under the names of the ports.
    pub(super) fn state_outputs(&mut self) {
        let graph = self.graph;
        let mut values = vec![];
        for (i, spec) in graph.states().iter().enumerate() {
            let value = match self.last_states.get(&i) {
                Some(h_last) => *h_last,
                None => {
                    let user = graph
                        .nodes()
                        .iter()
                        .find(|n| n.op.state().is_some_and(|s| s.index() == i));
                    let scope = user.map_or("", |n| n.scope.as_str());
                    self.in_scope(scope, |l| {
                        let window = l.last_window(i);
                        l.reset_window(spec.lag.unwrap_or(1), window)
                    })
                }
            };
            values.push(value);
        }
        for port in std::mem::take(&mut self.ports) {
            let b = &mut self.b;
            let members: Vec<Val> = port.members.iter().map(|m| values[*m]).collect();
            let value = match members[..] {
                [one] if port.transposed => b.at_root("state", |b| b.transpose(one, &[0, 2, 1])),
                [one] if !port.stacked => one,
                _ => b.at_root("state", |b| {
                    let rows: Vec<Val> = members.iter().map(|m| b.unsqueeze(*m, 1)).collect();
                    match rows[..] {
                        [one] => one,
                        _ => b.concat(&rows, 1),
                    }
                }),
            };
            let dims = dims(&self.time, &port);
            self.b.output(&port.output, value, DType::F32, dims);
        }
    }
}
