//! Folds: the nodes of the body once a step, for all rows of the batch, with the bounds that they carry.

use std::collections::BTreeMap;

use super::still::Still;
use super::tensor::{Shape, Tensor};
use super::window::resets;
use super::{Run, recur};
use crate::graph::{FoldNodes, Op, Span, Value};

/// Values `[B, T, width]` of a body's nodes in the making, `[T][B, width]`.
type Steps = BTreeMap<usize, Vec<Tensor>>;

/// All values of a fold's nodes, by index. `values`: those of the nodes before; `states`: what the run begins with, and what a reset
/// begins with.
pub(super) fn fold(
    still: &Still<'_>,
    fold: &FoldNodes,
    values: &[Option<Tensor>],
    states: [&[Vec<f64>]; 2],
    run: &Run,
) -> BTreeMap<usize, Tensor> {
    let mut made = models(still, fold, values, run);
    let mut body = Body {
        still,
        fold,
        values,
        models: &made,
        states,
        run,
        now: fold.states.iter().map(|_| Tensor::default()).collect(),
    };
    let mut steps = Steps::new();
    for t in 0..run.time {
        for (at, tensor) in body.step(t) {
            steps.entry(at).or_default().push(tensor);
        }
    }
    let whole = steps
        .into_iter()
        .map(|(at, steps)| (at, joined(&steps, run)))
        .collect::<Vec<_>>();
    made.extend(whole);
    made
}

/// What is computed from parameters alone in the body.
fn models(
    still: &Still<'_>,
    fold: &FoldNodes,
    values: &[Option<Tensor>],
    run: &Run,
) -> BTreeMap<usize, Tensor> {
    let mut made = BTreeMap::new();
    for i in fold.nodes.clone() {
        let node = &still.graph.nodes()[i];
        if !node.span.is_model() || still.stays[i] {
            continue;
        }
        let shape = Shape::of(node.span, node.width, run.batch, run.time);
        let x = |input: usize| at(node.inputs[input], &made, values);
        let value = still.value(node, &x, shape, run);
        made.insert(i, value);
    }
    made
}

fn at<'t>(
    value: Value,
    made: &'t BTreeMap<usize, Tensor>,
    values: &'t [Option<Tensor>],
) -> &'t Tensor {
    let before = || values[value.index()].as_ref();
    made.get(&value.index())
        .or_else(before)
        .expect("kept until its last use")
}

struct Body<'a> {
    still: &'a Still<'a>,
    fold: &'a FoldNodes,
    values: &'a [Option<Tensor>],
    models: &'a BTreeMap<usize, Tensor>,
    states: [&'a [Vec<f64>]; 2],
    run: &'a Run<'a>,
    /// States after the last step, `[B, width]`.
    now: Vec<Tensor>,
}

impl Body<'_> {
    /// Values of all nodes of step t, each `[B, width]`.
    fn step(&mut self, t: usize) -> BTreeMap<usize, Tensor> {
        let (graph, run) = (self.still.graph, self.run);
        let inner = &self.fold.nodes;
        let one = Run { time: 1, ..*run };
        let mut made: BTreeMap<usize, Tensor> = BTreeMap::new();
        for i in self.still.graph.steps_of(self.fold) {
            let node = &graph.nodes()[i];
            let value = match node.op {
                Op::Before { state } => self.before(state.index(), node.width, t),
                Op::Fold { state } => {
                    let value = made[&node.inputs[0].index()].clone();
                    let slot = self.fold.states.iter().position(|s| *s == state);
                    self.now[slot.expect("its own state")] = value.clone();
                    value
                }
                _ => {
                    // Arguments from before the body, of this step.
                    let outer: Vec<Option<Tensor>> = node
                        .inputs
                        .iter()
                        .map(|v| {
                            let outside =
                                graph.span(*v) == Span::Step && !inner.contains(&v.index());
                            outside.then(|| sliced(at(*v, self.models, self.values), t, run))
                        })
                        .collect();
                    let x = |input: usize| match &outer[input] {
                        Some(slice) => slice,
                        None => {
                            let value = node.inputs[input];
                            let here = made.get(&value.index());
                            here.unwrap_or_else(|| at(value, self.models, self.values))
                        }
                    };
                    let shape = Shape::of(node.span, node.width, run.batch, 1);
                    self.still.value(node, &x, shape, &one)
                }
            };
            made.insert(i, value);
        }
        made
    }

    /// What a state was before step t.
    fn before(&self, state: usize, width: usize, t: usize) -> Tensor {
        let [first, begin] = self.states.map(|s| &s[state]);
        let slot = self.fold.states.iter().position(|s| s.index() == state);
        let mut value = match t {
            0 => recur::given(first, width, self.run.bounds),
            _ => self.now[slot.expect("its own state")].clone(),
        };
        for row in (0..self.run.batch).filter(|row| resets(self.run, *row, t)) {
            let range = row * width..(row + 1) * width;
            value.data[range.clone()].copy_from_slice(&begin[range.clone()]);
            if self.run.bounds {
                value.bound[range].fill(0.0);
            }
        }
        value
    }
}

/// Step t of `[B, T, width]`.
fn sliced(x: &Tensor, t: usize, run: &Run) -> Tensor {
    let take = |part: &[f64]| -> Vec<f64> {
        let row = |b: usize| &part[(b * run.time + t) * x.width..][..x.width];
        (0..run.batch).flat_map(row).copied().collect()
    };
    let bound = if x.bound.is_empty() {
        vec![]
    } else {
        take(&x.bound)
    };
    Tensor::new(take(&x.data), bound, x.width)
}

/// `[T][B, width]` as `[B, T, width]`.
fn joined(steps: &[Tensor], run: &Run) -> Tensor {
    let width = steps[0].width;
    let lines = |part: fn(&Tensor) -> &[f64]| -> Vec<f64> {
        let row = |b: usize| {
            steps
                .iter()
                .flat_map(move |s| &part(s)[b * width..(b + 1) * width])
        };
        (0..run.batch).flat_map(row).copied().collect()
    };
    let bound = match run.bounds {
        true => lines(|t| &t.bound),
        false => vec![],
    };
    Tensor::new(lines(|t| &t.data), bound, width)
}
