//! Whole numbers that a file holds lengths against: windows, chunks, limits.
//!
//! Sizes are followed from `Shape` through what counts with them, bodies and functions included; the numbers beside them are what a length
//! may be a multiple of, equal to, or more than. Other small constants may be that too, by ways that are not followed.

use std::collections::{BTreeMap, BTreeSet};

use minrnn_onnx::ir::{Attr, DType, Function, Graph, Model, Node, Tensor};

use super::looked::{constant, few};

/// The largest number that is taken for one of lengths.
const LARGEST: f64 = 65_536.0;
/// Functions inside of each other are followed no deeper than this.
const DEPTH: usize = 16;

/// Operators whose result is a size, or a position within one, if what they are given is.
const CARRY: [&str; 30] = [
    "Abs",
    "Add",
    "Cast",
    "Ceil",
    "Concat",
    "ConstantOfShape",
    "CumSum",
    "Div",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Identity",
    "If",
    "Loop",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Range",
    "ReduceMax",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "Where",
];

/// Numbers of a file, 2 and more.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Those beside a length.
    pub(super) beside: BTreeSet<usize>,
    /// Other whole numbers that stand alone or in short lists.
    pub(super) others: BTreeSet<usize>,
}

struct Walk<'m> {
    functions: &'m [Function],
    numbers: BTreeMap<String, Vec<usize>>,
    sized: BTreeSet<String>,
    met: Met,
    depth: usize,
}

/// The numbers that a file may hold lengths against.
pub(super) fn met(model: &Model) -> Met {
    let mut walk = Walk {
        functions: &model.functions,
        numbers: BTreeMap::new(),
        sized: BTreeSet::new(),
        met: Met::default(),
        depth: 0,
    };
    walk.graph(&model.graph);
    let beside = walk.met.beside.clone();
    walk.met.others.retain(|n| !beside.contains(n));
    walk.met
}

impl Walk<'_> {
    fn graph(&mut self, graph: &Graph) {
        for t in &graph.initializers {
            self.number(&t.name, few(t), is_whole(t));
        }
        self.nodes(&graph.nodes);
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    /// Remembers the numbers of a small constant.
    fn number(&mut self, name: &str, values: Option<Vec<f64>>, whole: bool) {
        let fits = |v: &f64| (2.0..=LARGEST).contains(v) && v.fract() == 0.0;
        let all: Vec<usize> = values
            .iter()
            .flatten()
            .copied()
            .filter(fits)
            .map(|v| v as usize)
            .collect();
        if whole {
            self.met.others.extend(&all);
        }
        self.numbers.insert(name.to_owned(), all);
    }

    fn node(&mut self, node: &Node) {
        let op = node.op_type.as_str();
        if op == "Constant" {
            let whole = match node.attributes.first().map(|(_, a)| a) {
                Some(Attr::Tensor(t)) => is_whole(t),
                Some(Attr::Int(_) | Attr::Ints(_)) => true,
                _ => false,
            };
            if let Some(name) = node.outputs.first() {
                self.number(name, constant(node), whole);
            }
            return;
        }
        let sized: Vec<bool> = node.inputs.iter().map(|i| self.sized.contains(i)).collect();
        let any = sized.contains(&true);
        if any {
            let all = node.inputs.iter().filter_map(|i| self.numbers.get(i));
            let all: Vec<usize> = all.flatten().copied().collect();
            self.met.beside.extend(all);
        }
        let called = |f: &&Function| f.name == node.op_type && f.domain == node.domain;
        if let Some(function) = self.functions.iter().find(called) {
            self.function(node, function, &sized);
            return;
        }
        let mut carries = matches!(op, "Shape" | "Size") || any && CARRY.contains(&op);
        for (_, body) in node.subgraphs() {
            if self.depth < DEPTH {
                self.depth += 1;
                carries |= self.body(body, &sized);
                self.depth -= 1;
            }
        }
        if carries {
            self.sized.extend(node.outputs.iter().cloned());
        }
    }

    /// Whether a body gives sizes. What it is given it has by position, what stands around it by name.
    fn body(&mut self, body: &Graph, sized: &[bool]) -> bool {
        for (value, sized) in body.inputs.iter().zip(sized) {
            if *sized {
                self.sized.insert(value.name.clone());
            }
        }
        self.graph(body);
        body.outputs.iter().any(|v| self.sized.contains(&v.name))
    }

    fn function(&mut self, node: &Node, function: &Function, sized: &[bool]) {
        if self.depth >= DEPTH {
            return;
        }
        let formal = function.inputs.iter().zip(sized).zip(&node.inputs);
        let mut inner = BTreeSet::new();
        let mut numbers = BTreeMap::new();
        for ((name, sized), given) in formal {
            if *sized {
                inner.insert(name.clone());
            }
            if let Some(all) = self.numbers.get(given) {
                numbers.insert(name.clone(), all.clone());
            }
        }
        let outer = std::mem::replace(&mut self.sized, inner);
        let around = std::mem::replace(&mut self.numbers, numbers);
        self.depth += 1;
        self.nodes(&function.nodes);
        self.depth -= 1;
        let gives: Vec<bool> = function
            .outputs
            .iter()
            .map(|o| self.sized.contains(o))
            .collect();
        (self.sized, self.numbers) = (outer, around);
        let results = node.outputs.iter().zip(gives).filter(|(_, gives)| *gives);
        self.sized.extend(results.map(|(name, _)| name.clone()));
    }
}

fn is_whole(t: &Tensor) -> bool {
    t.dims.len() <= 1 && ![DType::F32, DType::F64, DType::F16, DType::BF16].contains(&t.dtype)
}
