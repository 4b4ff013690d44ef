//! Folds: any feedback, step by step.
//!
//! The body of a fold is a run of nodes of the same graph, all [`Span::Step`] but for what is computed from parameters alone: first an
//! [`Op::Before`] for each state, then what is made of them, then an [`Op::Fold`] for each state. So the body is read by the same
//! readers as every other node: over one step it is these nodes as they stand, over a sequence they run once a step, in order.

use std::ops::Range;

use super::{Graph, Holds, Op, Span, State, StateInit, Value};
use crate::error::Result;

/// A state of a fold in the making.
#[derive(Debug, Clone, Copy)]
pub struct FoldState<'a> {
    /// Its name: `h` is exported as `state.{block}.h`.
    pub name: &'a str,
    /// Channels.
    pub width: usize,
    /// Where it begins.
    pub init: StateInit,
}

/// The nodes of a fold.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldNodes {
    /// Its states, in the order of their [`Op::Before`] and of their [`Op::Fold`].
    pub states: Vec<State>,
    /// The body, consecutive.
    pub nodes: Range<usize>,
}

impl Graph {
    /// Feedback of any kind: `body` gets what the states were before a step and gives what they are after it, in order, then any further
    /// results. Gives the same list, its states being those after each step. All of them are `[B, T, width]`.
    ///
    /// The body may read values of steps from before it, parameters, and what is computed from these alone. It runs once a step: what
    /// does not need the states is better written before it.
    ///
    /// # Errors
    /// Those of `body` and of [`Graph::state`]; no state; a body that gives other widths than the states have, or uses what knows time:
    /// recurrences, delays, last steps, dropout, another fold.
    pub fn fold(
        &mut self,
        states: &[FoldState<'_>],
        body: impl FnOnce(&mut Self, &[Value]) -> Result<Vec<Value>>,
    ) -> Result<Vec<Value>> {
        if states.is_empty() {
            return Err(self.shape_error("Fold", "takes at least one state"));
        }
        if self.folding.is_some() {
            let what = "cannot stand in another fold's body; give one fold the states of both";
            return Err(self.shape_error("Fold", what));
        }
        let made = states
            .iter()
            .map(|s| self.state(s.name, s.width, Holds::Value, s.init));
        let made: Vec<State> = made.collect::<Result<_>>()?;
        let begin = self.nodes.len();
        self.folding = Some(begin);
        let done = self.folded(&made, body);
        self.folding = None;
        let results = done?;
        self.folds.push(FoldNodes {
            states: made,
            nodes: begin..self.nodes.len(),
        });
        Ok(results)
    }

    fn folded(
        &mut self,
        states: &[State],
        body: impl FnOnce(&mut Self, &[Value]) -> Result<Vec<Value>>,
    ) -> Result<Vec<Value>> {
        let before = states
            .iter()
            .map(|state| self.op(Op::Before { state: *state }, &[]));
        let before: Vec<Value> = before.collect::<Result<_>>()?;
        let mut results = body(self, &before)?;
        if results.len() < states.len() {
            let what = format!(
                "has {} states, and its body gives {} values",
                states.len(),
                results.len()
            );
            return Err(self.shape_error("Fold", what));
        }
        for (state, value) in states.iter().zip(&mut results) {
            *value = self.op(Op::Fold { state: *state }, &[*value])?;
        }
        Ok(results)
    }

    /// All folds, in order.
    pub fn folds(&self) -> &[FoldNodes] {
        &self.folds
    }

    /// The fold whose body begins with the node at `index`.
    pub fn fold_at(&self, index: usize) -> Option<&FoldNodes> {
        self.folds.iter().find(|f| f.nodes.start == index)
    }

    /// The nodes of a fold's body that run once a step: all but what is computed from parameters alone.
    pub fn steps_of<'a>(&'a self, fold: &'a FoldNodes) -> impl Iterator<Item = usize> + 'a {
        let each = |i: &usize| self.nodes[*i].span == Span::Step;
        fold.nodes.clone().filter(each)
    }

    /// What a fold's body reads from before it, each once, in order: values of steps, then what is computed from parameters alone (that in
    /// the body too).
    pub fn read_by(&self, fold: &FoldNodes) -> (Vec<Value>, Vec<Value>) {
        let (mut steps, mut models) = (vec![], vec![]);
        for i in self.steps_of(fold) {
            for value in &self.nodes[i].inputs {
                let list = match self.span(*value) {
                    Span::Model { .. } => &mut models,
                    _ if fold.nodes.contains(&value.0) => continue,
                    _ => &mut steps,
                };
                if !list.contains(value) {
                    list.push(*value);
                }
            }
        }
        (steps, models)
    }

    /// The values of steps in a fold's body that are read behind it, or are the graph's output, but for the states; in order.
    pub fn leaving(&self, fold: &FoldNodes) -> Vec<Value> {
        let read = |i: usize| {
            let after = &self.nodes[fold.nodes.end..];
            let output = self.output.is_some_and(|o| o.value.0 == i);
            output || after.iter().any(|n| n.inputs.contains(&Value(i)))
        };
        let state = |i: usize| matches!(self.nodes[i].op, Op::Fold { .. });
        let inner = self.steps_of(fold).filter(|i| !state(*i) && read(*i));
        inner.map(Value).collect()
    }

    /// Why an operation cannot stand in a fold's body, or only there.
    pub(super) fn wrong_in_fold(&self, op: Op, x: &[Value]) -> Option<String> {
        let Some(begin) = self.folding else {
            let own = matches!(op, Op::Before { .. } | Op::Fold { .. });
            return own.then(|| "is made by Graph::fold only".into());
        };
        let what = match op {
            Op::Recur { .. } | Op::Delay { .. } | Op::Last | Op::Embed { .. } => {
                "knows the steps of a sequence, and a fold's body is one step; write it before or behind the fold"
            }
            Op::Dropout { .. } => {
                "cannot stand in a fold's body; write it before or behind the fold"
            }
            Op::Fold { .. } if x.iter().any(|v| v.0 < begin) => {
                "takes a value that its body makes, and this one was there before"
            }
            _ => return None,
        };
        Some(what.into())
    }
}
