//! Values that files look for: a mask that is 0, frames of padding, a number that stands for nothing. Normal numbers never hit them.
//!
//! Inputs of floats are followed through what keeps their values to a comparison, a choice or a cast that decides; cases of a few steps are
//! run once more with the numbers that stand there, and 0 and 1, among the others.

use std::collections::BTreeSet;

use anyhow::Result;
use minrnn_model::rng::Rng;
use minrnn_onnx::ir::{Attr, DType, Graph, Node, Tensor as Constant};

use super::case::{Case, Two};
use super::interface::Link;
use super::spec::Role;
use super::tensor::{Reading, Tensor};

/// The longest case with such values.
const LONGEST: usize = 64;

/// The most numbers of a constant that are taken for values to look for.
const FEW: usize = 16;

/// Operators through which a value stays what it is, or is 0 if it was.
const KEEP: [&str; 24] = [
    "Abs",
    "Add",
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// Operators that decide by a value.
const DECIDE: [&str; 8] = [
    "Compress",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "NonZero",
    "Sign",
];

impl Two {
    /// A case with the values that the files look for among its inputs, from the initial states; `None`: they look for none, or it is long.
    pub(crate) fn marked(&self, case: &Case, rng: &mut Rng) -> Result<Option<Case>> {
        let mut marked = Case {
            marked: true,
            states: None,
            ..case.clone()
        };
        let mut any = false;
        let short = case.time <= LONGEST.max(self.face.length.unwrap_or(0));
        for (i, link) in self.face.links.iter().enumerate() {
            if !link.elem.is_float() || self.keeps(i) || !short {
                continue;
            }
            let sides = [0, 1].map(|k| looked_for(&self.files[k].model.graph, &link.names[k]));
            let all: Vec<f64> = sides.into_iter().flatten().collect();
            if !all.is_empty() {
                any = true;
                marked.data[i] = mark(link, &marked.data[i], &all, rng)?;
            }
        }
        Ok(any.then_some(marked))
    }
}

/// The same tensor with these values in places: whole steps of a row, and entries alone. The first step stays as it is: a row that is masked
/// wholly is another question.
fn mark(link: &Link, t: &Tensor, all: &[f64], rng: &mut Rng) -> Result<Tensor> {
    let mut values = t.values(Reading::Exact);
    let shape = t.shape();
    let of_step = |r: &Role| matches!(r, Role::Batch | Role::Time);
    // What stands behind the last axis of rows or steps belongs to one step.
    let behind = link.roles.iter().rposition(of_step).map_or(0, |i| i + 1);
    let width: usize = shape.iter().skip(behind).product();
    let inner: usize = link
        .time()
        .map_or(0, |axis| shape.iter().skip(axis + 1).product());
    let steps = link.time().map_or(1, |axis| shape[axis]);
    for (i, step) in values.chunks_mut(width.max(1)).enumerate() {
        let whole = rng.below(3) == 0;
        let value = all[rng.below(all.len())];
        let at = i * width.max(1) / inner.max(1);
        let first = inner > 0 && at.is_multiple_of(steps.max(1));
        for v in step.iter_mut().filter(|_| !first) {
            if whole || rng.below(8) == 0 {
                *v = value;
            }
        }
    }
    Tensor::floats(link.elem, shape, &values)
}

/// The numbers that a graph looks for in an input; empty: it does not decide by its values.
fn looked_for(graph: &Graph, input: &str) -> Vec<f64> {
    let mut of_input: BTreeSet<&str> = [input].into();
    let mut found: Vec<f64> = vec![];
    let mut decides = false;
    for node in &graph.nodes {
        let at = node
            .inputs
            .iter()
            .position(|i| of_input.contains(i.as_str()));
        let Some(at) = at else {
            continue;
        };
        let op = node.op_type.as_str();
        let others = || node.inputs.iter().enumerate().filter(|(i, _)| *i != at);
        let narrow = op == "Cast" && !node.int("to").is_some_and(is_float);
        if DECIDE.contains(&op) || narrow {
            decides = true;
            found.extend(others().flat_map(|(_, name)| numbers(graph, name)));
        }
        let data = at == 0 || !["Gather", "Slice", "Reshape", "Expand"].contains(&op);
        if (KEEP.contains(&op) || op == "Cast") && data {
            of_input.extend(node.outputs.iter().map(String::as_str));
        }
    }
    if decides {
        found.extend([0.0, 0.0, 1.0]);
    }
    found
}

fn is_float(to: i64) -> bool {
    [DType::F32, DType::F64, DType::F16, DType::BF16]
        .iter()
        .any(|d| i64::from(d.code()) == to)
}

/// The numbers of a small constant.
fn numbers(graph: &Graph, name: &str) -> Vec<f64> {
    let made = |n: &&Node| n.op_type == "Constant" && n.outputs.iter().any(|o| o == name);
    let attribute = graph.nodes.iter().find(made);
    let attribute = attribute.and_then(|n| n.attributes.first());
    match attribute {
        Some((_, Attr::Float(v))) => return vec![f64::from(*v)],
        Some((_, Attr::Int(v))) => return vec![*v as f64],
        Some((_, Attr::Tensor(t))) => return few(t),
        _ => {}
    }
    let initializer = graph.initializers.iter().find(|t| t.name == name);
    initializer.map_or_else(Vec::new, few)
}

fn few(t: &Constant) -> Vec<f64> {
    let floats = t
        .to_f32()
        .map(|v| v.iter().map(|x| f64::from(*x)).collect());
    let ints = || t.to_i64().map(|v| v.iter().map(|n| *n as f64).collect());
    let all: Vec<f64> = floats.or_else(ints).unwrap_or_default();
    let finite = all.iter().all(|v| v.is_finite());
    if all.len() <= FEW && finite {
        all
    } else {
        vec![]
    }
}
