//! Which numbers a file looks for in an input.
//!
//! Inputs are followed through what keeps their values, bodies and functions included, to a comparison, a choice or a cast that decides.
//! Where they are scaled or moved by a number on the way, what is looked for is the number that becomes it.

use std::collections::HashMap;

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::{Attr, DType, Function, Graph, Model, Node, Tensor as Constant, TensorData};

/// The most numbers of a constant that are taken for values to look for.
const FEW: usize = 16;
/// Bodies and functions inside of each other are followed no deeper than this.
const DEPTH: usize = 16;
/// How far beside a bound values are drawn, of its size.
const BESIDE: f64 = 1.0 / 1024.0;

/// Operators through which a value stays what it is, or is 0 if it was; those through whose first input alone it does.
const KEEP: [&str; 17] = [
    "Abs",
    "Concat",
    "Flatten",
    "Identity",
    "Max",
    "Min",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
const KEEP_FIRST: [&str; 5] = ["Clip", "Expand", "Gather", "Reshape", "Slice"];

/// Operators that decide by a value: it is the same, on which side of a bound it lies, or what kind of number it is.
const SAME: [&str; 4] = ["Compress", "Equal", "NonZero", "Sign"];
const ORDER: [&str; 4] = ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"];
/// And those that let a value no further than a bound.
const BOUND: [&str; 3] = ["Clip", "Max", "Min"];

/// What is known of a value.
#[derive(Debug, Clone)]
enum Known {
    /// It comes of the input: that times one number, and another one added.
    Input(f64, f64),
    /// A sum of squares of such values, or its square root.
    Energy(Energy),
    /// Numbers of a small constant.
    Numbers(Vec<f64>),
}

/// `(scale x + moved)^2`, or of a step the sum or the mean of that, times a factor and another number added; then perhaps its square root.
#[derive(Debug, Clone, Copy)]
struct Energy {
    input: (f64, f64),
    /// Whether it is over several values.
    summed: bool,
    by: (f64, f64),
    root: bool,
}

impl Energy {
    /// Values of the input at which it is a number: all of a step alike, or one alone and the others 0.
    fn at(self, number: f64, width: usize) -> Vec<f64> {
        let (factor, plus) = self.by;
        let number = (number - plus) / factor;
        let size = if self.root {
            number
        } else {
            number.max(0.0).sqrt()
        };
        let each = size / (width as f64).sqrt();
        let sizes = if self.summed {
            vec![each, size]
        } else {
            vec![size]
        };
        let (scale, moved) = self.input;
        sizes.into_iter().map(|v| (v - moved) / scale).collect()
    }
}

struct Walk<'m> {
    functions: &'m [Function],
    /// Values of an input in one step.
    width: usize,
    scopes: Vec<HashMap<String, Known>>,
    depth: usize,
    decides: bool,
    found: Vec<f64>,
}

/// The numbers that a file looks for in an input; empty: it does not decide by its values. What is infinite or no number is among them
/// where the file asks for that.
///
/// `width`: how many values a step has of it.
pub(super) fn looked_for(model: &Model, input: &str, width: usize) -> Vec<f64> {
    let known = HashMap::from([(input.to_owned(), Known::Input(1.0, 0.0))]);
    let mut walk = Walk {
        functions: &model.functions,
        width,
        scopes: vec![known],
        depth: 0,
        decides: false,
        found: vec![],
    };
    walk.graph(&model.graph);
    if walk.decides {
        walk.found.extend([0.0, 0.0, 1.0]);
    }
    walk.found
}

impl Walk<'_> {
    fn get(&self, name: &str) -> Option<&Known> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    fn set(&mut self, name: &str, known: Option<Known>) {
        if let (Some(known), Some(scope), false) = (known, self.scopes.last_mut(), name.is_empty())
        {
            scope.insert(name.to_owned(), known);
        }
    }

    fn graph(&mut self, graph: &Graph) {
        for t in &graph.initializers {
            // An input with a default is the input.
            if self.get(&t.name).is_none() {
                self.set(&t.name, few(t).map(Known::Numbers));
            }
        }
        self.nodes(&graph.nodes);
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        let op = node.op_type.as_str();
        let called = |f: &&Function| f.name == node.op_type && f.domain == node.domain;
        let given: Vec<Option<Known>> = node.inputs.iter().map(|i| self.get(i).cloned()).collect();
        if let Some(function) = self.functions.iter().find(called) {
            self.function(node, function, given);
            return;
        }
        if op == "Constant" {
            self.set(&node.outputs[0], constant(node).map(Known::Numbers));
            return;
        }
        if node.subgraphs().next().is_some() {
            self.bodies(node, &given);
            return;
        }
        self.decide(op, node, &given);
        let kept = match energy(node, &given) {
            Some(energy) => Some(Known::Energy(energy)),
            None => through(op, &given),
        };
        for output in &node.outputs {
            self.set(output, kept.clone());
        }
    }

    /// Notes what a node looks for.
    fn decide(&mut self, op: &str, node: &Node, given: &[Option<Known>]) {
        let follows = |k: &Option<Known>| matches!(k, Some(Known::Input(..) | Known::Energy(_)));
        let Some(at) = given.iter().position(follows) else {
            return;
        };
        let narrow = op == "Cast" && !node.int("to").is_some_and(is_float);
        let bound = BOUND.contains(&op);
        let (same, order) = (SAME.contains(&op), ORDER.contains(&op) || bound);
        // What is not itself is no number.
        if op == "Equal" && node.inputs.first() == node.inputs.get(1) {
            self.decides = true;
            self.found.push(f64::NAN);
            return;
        }
        match op {
            "IsNaN" => self.found.push(f64::NAN),
            "IsInf" => self.found.extend([f64::INFINITY, f64::NEG_INFINITY]),
            _ if !(same || order || narrow) => return,
            _ => {}
        }
        let others = given.iter().enumerate().filter(|(i, _)| *i != at);
        let mut all: Vec<f64> = others
            .flat_map(|(_, k)| numbers(k.as_ref()))
            .copied()
            .collect();
        all.extend(clipped(op, node));
        // Without a number beside it, it is no bound.
        self.decides |= !bound || !all.is_empty();
        for number in all {
            let (places, least) = match &given[at] {
                Some(Known::Input(scale, moved)) => (vec![(number - moved) / scale], 1.0),
                Some(Known::Energy(energy)) => (energy.at(number, self.width), 0.0),
                _ => return,
            };
            for place in places.into_iter().filter(|v| v.is_finite()) {
                self.found.push(place);
                if order {
                    let by = BESIDE * place.abs().max(least);
                    self.found.extend([place - by, place + by]);
                }
            }
        }
    }

    fn function(&mut self, node: &Node, function: &Function, given: Vec<Option<Known>>) {
        if self.depth >= DEPTH {
            return;
        }
        let inputs = function.inputs.iter().zip(given);
        let inner = inputs.filter_map(|(name, known)| Some((name.clone(), known?)));
        let outer = std::mem::replace(&mut self.scopes, vec![inner.collect()]);
        self.depth += 1;
        self.nodes(&function.nodes);
        self.depth -= 1;
        let results: Vec<_> = function
            .outputs
            .iter()
            .map(|o| self.get(o).cloned())
            .collect();
        self.scopes = outer;
        for (name, known) in node.outputs.iter().zip(results) {
            self.set(name, known);
        }
    }

    fn bodies(&mut self, node: &Node, given: &[Option<Known>]) {
        if self.depth >= DEPTH {
            return;
        }
        // The number of rounds and the condition come first of what a Loop takes, a condition of what its body gives.
        let skipped = usize::from(node.op_type == "Loop");
        for (_, body) in node.subgraphs() {
            let formal = body.inputs.iter().map(|v| v.name.clone());
            let inner = formal.zip(given.iter().cloned());
            let inner = inner.filter_map(|(name, known)| Some((name, known?)));
            self.scopes.push(inner.collect());
            self.depth += 1;
            self.graph(body);
            self.depth -= 1;
            let results = body.outputs.iter().skip(skipped);
            let results: Vec<_> = results.map(|v| self.get(&v.name).cloned()).collect();
            self.scopes.pop();
            for (name, known) in node.outputs.iter().zip(results) {
                self.set(name, known.filter(|k| !matches!(k, Known::Numbers(_))));
            }
        }
    }
}

/// What is known of the results of an operator.
fn through(op: &str, given: &[Option<Known>]) -> Option<Known> {
    let at = |i: usize| given.get(i).and_then(Option::as_ref);
    let input = given
        .iter()
        .flatten()
        .find(|k| matches!(k, Known::Input(..)));
    match (op, at(0), at(1)) {
        ("Add" | "Sub" | "Mul" | "Div", Some(Known::Input(a, b)), Some(Known::Numbers(n))) => {
            affine(op, (*a, *b), n).or(input.cloned())
        }
        ("Add" | "Mul", Some(Known::Numbers(n)), Some(Known::Input(a, b))) => {
            affine(op, (*a, *b), n).or(input.cloned())
        }
        ("Sub", Some(Known::Numbers(n)), Some(Known::Input(a, b))) => {
            affine("Add", (-a, -b), n).or(input.cloned())
        }
        ("Neg", Some(Known::Input(a, b)), _) => Some(Known::Input(-a, -b)),
        ("Neg", Some(Known::Numbers(n)), _) => Some(Known::Numbers(n.iter().map(|v| -v).collect())),
        ("Add" | "Sub" | "Mul" | "Div", ..) => input.cloned(),
        ("Where", ..) => [at(1), at(2)]
            .into_iter()
            .flatten()
            .find(|k| matches!(k, Known::Input(..)))
            .cloned(),
        ("Cast" | "CastLike", first, _) => first.cloned(),
        _ if KEEP_FIRST.contains(&op) => at(0).cloned(),
        _ if KEEP.contains(&op) => input.or(at(0)).cloned(),
        _ => None,
    }
}

/// The bounds that a Clip has as attributes.
fn clipped(op: &str, node: &Node) -> Vec<f64> {
    let of = |(name, a): &(String, Attr)| match a {
        Attr::Float(v) if op == "Clip" && ["min", "max"].contains(&name.as_str()) => {
            Some(f64::from(*v))
        }
        _ => None,
    };
    node.attributes.iter().filter_map(of).collect()
}

/// What is a sum of squares, or comes of one.
fn energy(node: &Node, given: &[Option<Known>]) -> Option<Energy> {
    let at = |i: usize| given.get(i).and_then(Option::as_ref);
    let op = node.op_type.as_str();
    let squared = |input: (f64, f64), summed| Energy {
        input,
        summed,
        by: (1.0, 0.0),
        root: false,
    };
    match (op, at(0), at(1)) {
        ("ReduceSumSquare", Some(Known::Input(a, b)), _) => Some(squared((*a, *b), true)),
        ("ReduceL2", Some(Known::Input(a, b)), _) => Some(Energy {
            root: true,
            ..squared((*a, *b), true)
        }),
        ("Mul", Some(Known::Input(a, b)), _) if node.inputs[0] == node.inputs[1] => {
            Some(squared((*a, *b), false))
        }
        ("Pow", Some(Known::Input(a, b)), Some(Known::Numbers(n))) if n[..] == [2.0] => {
            Some(squared((*a, *b), false))
        }
        // A mean is the value itself where all are alike.
        ("ReduceSum", Some(Known::Energy(e)), _) => Some(Energy { summed: true, ..*e }),
        ("Sqrt", Some(Known::Energy(e)), _) if e.by == (1.0, 0.0) => {
            Some(Energy { root: true, ..*e })
        }
        ("Add" | "Sub" | "Mul" | "Div", Some(Known::Energy(e)), Some(Known::Numbers(n)))
        | ("Add" | "Mul", Some(Known::Numbers(n)), Some(Known::Energy(e))) => {
            let Known::Input(a, b) = affine(op, e.by, n)? else {
                return None;
            };
            Some(Energy { by: (a, b), ..*e })
        }
        ("ReduceMean" | "ReduceMax" | "ReduceMin" | "Cast", Some(Known::Energy(e)), _) => Some(*e),
        (op, Some(Known::Energy(e)), _) if KEEP.contains(&op) || KEEP_FIRST.contains(&op) => {
            Some(*e)
        }
        _ => None,
    }
}

/// A value of the input after an operation with one number; `None`: with several.
fn affine(op: &str, (a, b): (f64, f64), numbers: &[f64]) -> Option<Known> {
    let [n] = numbers else { return None };
    let (a, b) = match op {
        "Add" => (a, b + n),
        "Sub" => (a, b - n),
        "Mul" => (a * n, b * n),
        _ => (a / n, b / n),
    };
    (a != 0.0 && a.is_finite() && b.is_finite()).then_some(Known::Input(a, b))
}

fn numbers(known: Option<&Known>) -> &[f64] {
    match known {
        Some(Known::Numbers(all)) => all,
        _ => &[],
    }
}

fn is_float(to: i64) -> bool {
    [DType::F32, DType::F64, DType::F16, DType::BF16]
        .iter()
        .any(|d| i64::from(d.code()) == to)
}

/// The numbers of a node that is a small constant.
pub(super) fn constant(node: &Node) -> Option<Vec<f64>> {
    match node.attributes.first().map(|(_, a)| a) {
        Some(Attr::Float(v)) => Some(vec![f64::from(*v)]),
        Some(Attr::Int(v)) => Some(vec![*v as f64]),
        Some(Attr::Ints(all)) if all.len() <= FEW => Some(all.iter().map(|v| *v as f64).collect()),
        Some(Attr::Tensor(t)) => few(t),
        _ => None,
    }
}

pub(super) fn few(t: &Constant) -> Option<Vec<f64>> {
    let dims = t.dims.iter().map(|d| usize::try_from(*d).ok());
    let dims: Vec<usize> = dims.collect::<Option<_>>()?;
    let TensorData::Bytes(bytes) = &t.data else {
        return None;
    };
    if dims.iter().product::<usize>() > FEW {
        return None;
    }
    let array = Array::from_bytes(t.dtype, &dims, bytes).ok()?;
    let ints = || array.ints().map(|v| v.iter().map(|n| *n as f64).collect());
    let all = array.floats().map(<[f64]>::to_vec).or_else(ints)?;
    all.iter().all(|v| v.is_finite()).then_some(all)
}
