//! Folds: in the form `step` the body's nodes as they stand, in the form `scan` a Scan of them.

use std::collections::BTreeMap;

use minrnn_model::graph::{FoldNodes, Graph, Node, Op, State, Value};

use super::{Lower, deferred, scope_path};
use crate::builder::{Builder, ScanBody, Val};
use crate::choices::{ExportError, ExportOptions, Form, Weights};
use crate::ir::Dim;

/// Folds have no parallel form.
///
/// # Errors
/// The first fold of a graph, where that form is asked for.
pub(super) fn check(graph: &Graph, options: &ExportOptions) -> Result<(), ExportError> {
    match graph.folds().first() {
        Some(fold) if options.form == Form::Parallel => Err(ExportError::Option {
            option: "form",
            what: format!(
                "parallel: `{}` feeds back step by step, and no parallel form of that is known; choose the form scan or step, or all that the model has",
                graph.nodes()[fold.nodes.start].scope
            ),
        }),
        _ => Ok(()),
    }
}

/// Values that only one graph may read, that of the file or that of a Scan's body.
struct Outer {
    values: Vec<(Value, Option<Val>)>,
    denominators: BTreeMap<Value, Val>,
    parts: BTreeMap<(Value, usize), Vec<Val>>,
}

impl Lower<'_> {
    /// What a fold's state was before the step, in the form `step`.
    pub(super) fn before(&self, state: State) -> Val {
        self.states[state.index()]
    }

    /// What it is after the step.
    pub(super) fn after(&mut self, state: State, value: Value) -> Val {
        let value = self.value(value);
        if !self.in_body {
            self.last_states.insert(state.index(), value);
        }
        value
    }

    /// The fold as a Scan: its states after all steps, and what else is read behind it.
    pub(super) fn fold(&mut self, fold: &FoldNodes) {
        let graph = self.graph;
        let (steps, models) = graph.read_by(fold);
        for value in &models {
            // Once, not in every step.
            self.value(*value);
        }
        self.widen_in(fold);
        let x: Vec<Val> = steps.iter().map(|v| self.value(*v)).collect();
        let row = |width: usize| vec![Dim::Unknown, Dim::Fixed(width as i64)];
        let states = fold.states.iter();
        let states = states.map(|s| (self.states[s.index()], row(graph.state_spec(*s).width)));
        let states: Vec<_> = states.collect();
        let wide = steps.iter().map(|v| row(graph.width(*v)));
        let mut inputs: Vec<_> = x.into_iter().zip(wide).collect();
        if let Some(resets) = &self.resets {
            inputs.extend([(resets.kept_now(), row(1)), (resets.reset(), row(1))]);
        }
        let leaving = graph.leaving(fold);
        let scope = graph.nodes()[fold.nodes.start].scope.as_str();
        if !scope.is_empty() {
            self.b.enter(&scope_path(scope));
        }
        let mut b = std::mem::replace(&mut self.b, Builder::new(""));
        let mut made = b.scan(&states, &inputs, 1, |b, h, x| {
            std::mem::swap(b, &mut self.b);
            let result = self.body(fold, &steps, &leaving, h, x);
            std::mem::swap(b, &mut self.b);
            result
        });
        self.b = b;
        if !scope.is_empty() {
            self.b.leave();
        }
        let all = made.split_off(states.len());
        let after = graph
            .steps_of(fold)
            .filter_map(|i| match graph.nodes()[i].op {
                Op::Fold { state } => Some((graph.value_at(i), state)),
                _ => None,
            });
        let after: Vec<(Value, State)> = after.collect();
        for (i, (value, state)) in after.iter().enumerate() {
            self.values[value.index()] = Some(all[i]);
            let last = match self.options.lengths {
                // At each row's own end.
                true => {
                    let width = graph.width(*value) as i64;
                    let last = self.time.last_step(&mut self.b, all[i], width);
                    self.b.squeeze(last, 1)
                }
                false => made[i],
            };
            self.last_states.insert(state.index(), last);
        }
        for (value, val) in leaving.iter().zip(&all[after.len()..]) {
            self.values[value.index()] = Some(*val);
        }
    }

    /// The body's nodes in the graph of a Scan; `h` and `x`: its inputs.
    fn body(
        &mut self,
        fold: &FoldNodes,
        steps: &[Value],
        leaving: &[Value],
        h: &[Val],
        x: &[Val],
    ) -> ScanBody {
        let graph = self.graph;
        let outer = self.enter_body(steps, x);
        let h = self.begun_anew(fold, h, &x[steps.len()..]);
        let scope = graph.nodes()[fold.nodes.start].scope.as_str();
        let mut states = h.into_iter();
        let mut next = vec![];
        for i in graph.steps_of(fold) {
            let node = &graph.nodes()[i];
            let value = match node.op {
                Op::Before { .. } => states.next(),
                _ if deferred(node) => None,
                _ => Some(self.in_scope(inner(node, scope), |l| l.node(node))),
            };
            self.values[i] = value;
            if let (Op::Fold { .. }, Some(value)) = (node.op, value) {
                next.push(value);
            }
        }
        let row = |width: usize| vec![Dim::Unknown, Dim::Fixed(width as i64)];
        let specs = fold.states.iter().map(|s| graph.state_spec(*s).width);
        let mut outputs: Vec<_> = next.iter().copied().zip(specs.map(row)).collect();
        for value in leaving {
            outputs.push((self.value(*value), row(graph.width(*value))));
        }
        self.leave_body(fold, outer);
        ScanBody {
            states: next,
            outputs,
        }
    }

    /// What the states are before a step, as [`Lower::reset_states`] has it.
    fn begun_anew(&mut self, fold: &FoldNodes, h: &[Val], flags: &[Val]) -> Vec<Val> {
        let (Some(resets), [keep, reset]) = (&self.resets, flags) else {
            return h.to_vec();
        };
        let initial: Vec<_> = fold.states.iter().map(|s| resets.initial(*s)).collect();
        let mut all = vec![];
        for (h, initial) in h.iter().zip(initial) {
            let kept = self.b.mul(*h, *keep);
            all.push(match initial {
                None => kept,
                Some(initial) => {
                    let anew = self.b.mul(*reset, initial);
                    self.b.add(kept, anew)
                }
            });
        }
        all
    }

    fn enter_body(&mut self, steps: &[Value], x: &[Val]) -> Outer {
        self.in_body = true;
        let values = steps.iter().zip(x).map(|(value, val)| {
            let outer = self.values[value.index()].replace(*val);
            (*value, outer)
        });
        Outer {
            values: values.collect(),
            denominators: std::mem::take(&mut self.denominators),
            parts: std::mem::take(&mut self.parts),
        }
    }

    fn leave_body(&mut self, fold: &FoldNodes, outer: Outer) {
        for i in self.graph.steps_of(fold) {
            self.values[i] = None;
        }
        for (value, val) in outer.values {
            self.values[value.index()] = val;
        }
        self.denominators = outer.denominators;
        self.parts = outer.parts;
        self.in_body = false;
    }

    /// Matrices of bf16 that the body multiplies by, made f32 before it.
    fn widen_in(&mut self, fold: &FoldNodes) {
        if self.options.weights != Weights::Bf16 {
            return;
        }
        let graph = self.graph;
        for i in graph.steps_of(fold) {
            if let Some(weight) = graph.weight(&graph.nodes()[i]) {
                self.widen(weight);
            }
        }
    }
}

/// A node's scope within that of its fold.
fn inner<'n>(node: &'n Node, scope: &str) -> &'n str {
    let rest = node.scope.strip_prefix(scope).unwrap_or("");
    rest.strip_prefix('.').unwrap_or(rest)
}
