//! What a graph says about the axes of its inputs.
//!
//! Axes are followed from the inputs through every operator that keeps, moves or drops them, bodies and functions included.
//! Where an operator gives one of them a meaning (the axis that a Scan walks, the rows of a GRU), that is a *clue* about the
//! input it came from. An operator that is not known here ends the way: nothing is concluded from what lies behind it.
//!
//! States are followed too: which input is only moved before it becomes the state of a recurrence, and which output is only
//! moved after it came out of that recurrence.

mod cut;
mod layout;
mod mixing;
mod moves;
mod number;
mod product;
mod recur;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use minrnn_onnx::ir::{Dim, Function, Graph, Model, Node};

use value::{Axis, Origin, Tag, Value};

/// What an axis is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    Time,
    Rows,
}

/// How far a clue is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// The axis is mixed along: it holds no rows. It need not be time.
    Mixes,
    /// Convolutions and attention, which run along other axes as well.
    Weak,
    /// Running sums.
    Sum,
    /// Recurrences.
    Strong,
}

/// An operator gives a meaning to an axis of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clue {
    /// The input's name and its axis.
    pub(super) input: String,
    pub(super) axis: usize,
    pub(super) meaning: Meaning,
    pub(super) weight: Weight,
    /// The operator and the node, for messages.
    pub(super) who: String,
}

/// What a graph says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) clues: Vec<Clue>,
    /// For an input that is a recurrence's state, the outputs that give its next value.
    pub(super) next: BTreeMap<String, BTreeSet<String>>,
    /// Inputs that say how long each row is, with the axes of inputs that operators walk so far.
    pub(super) lengths: BTreeMap<String, BTreeSet<(String, usize)>>,
}

/// Bodies and functions inside of each other are followed no deeper than this.
const DEPTH: usize = 16;

/// Follows the axes of a graph's inputs.
pub(super) fn flow(model: &Model) -> Flow {
    let graph = &model.graph;
    let mut walk = Walk {
        scopes: vec![HashMap::new()],
        functions: &model.functions,
        opset: model.opset().unwrap_or(1),
        fixed: BTreeSet::new(),
        found: vec![],
        lengths: BTreeMap::new(),
        depth: 0,
    };
    for (i, input) in graph.inputs.iter().enumerate() {
        let axis = |(k, dim): (usize, &Dim)| Axis {
            origins: BTreeSet::from([(i, k)]),
            size: match dim {
                Dim::Fixed(n) if *n >= 0 => Some(*n),
                _ => None,
            },
        };
        let axes = input.dims.as_ref();
        let all = axes.into_iter().flatten().enumerate();
        let fixed = all.filter(|(_, d)| matches!(d, Dim::Fixed(n) if *n >= 0));
        walk.fixed.extend(fixed.map(|(k, _)| (i, k)));
        let value = Value {
            axes: axes.map(|d| d.iter().enumerate().map(axis).collect()),
            tags: BTreeSet::from([Tag::Is(i)]),
            numbers: None,
        };
        walk.set(&input.name, value);
    }
    walk.graph(graph);
    let name = |i: usize| {
        graph
            .inputs
            .get(i)
            .map_or(String::new(), |v| v.name.clone())
    };
    let mut clues: Vec<Clue> = vec![];
    for ((input, axis), meaning, weight, who) in std::mem::take(&mut walk.found) {
        let clue = Clue {
            input: name(input),
            axis,
            meaning,
            weight,
            who,
        };
        let known = |c: &Clue| {
            (&c.input, c.axis, c.meaning, c.weight)
                == (&clue.input, clue.axis, clue.meaning, clue.weight)
        };
        if !clues.iter().any(known) {
            clues.push(clue);
        }
    }
    let mut next: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for output in &graph.outputs {
        for tag in walk.get(&output.name).tags {
            if let Tag::Next(i) = tag {
                next.entry(name(i)).or_default().insert(output.name.clone());
            }
        }
    }
    Flow {
        clues,
        next,
        lengths: walk
            .lengths
            .iter()
            .map(|(i, of)| (name(*i), of.iter().map(|(j, k)| (name(*j), *k)).collect()))
            .collect(),
    }
}

struct Walk<'a> {
    /// Values by name, the innermost body last.
    scopes: Vec<HashMap<&'a str, Value>>,
    functions: &'a [Function],
    opset: i64,
    /// Axes of inputs that are of a fixed size.
    fixed: BTreeSet<Origin>,
    found: Vec<(Origin, Meaning, Weight, String)>,
    lengths: BTreeMap<usize, BTreeSet<Origin>>,
    depth: usize,
}

impl<'a> Walk<'a> {
    fn get(&self, name: &str) -> Value {
        let found = self.scopes.iter().rev().find_map(|s| s.get(name));
        found.cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &'a str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, value);
        }
    }

    fn graph(&mut self, graph: &'a Graph) {
        for tensor in &graph.initializers {
            self.set(&tensor.name, Value::constant(tensor));
        }
        for sparse in &graph.sparse_initializers {
            self.set(&sparse.values.name, Value::sized(&sparse.dims));
        }
        for node in &graph.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &'a Node) {
        let inputs: Vec<Value> = node.inputs.iter().map(|n| self.get(n)).collect();
        let standard = matches!(
            node.domain.as_str(),
            "" | "ai.onnx" | "com.microsoft" | "com.microsoft.experimental"
        );
        if standard {
            self.mixing(node, &inputs);
        }
        let results = if let Some(function) = self.function(node) {
            self.call(function, inputs)
        } else if !standard {
            vec![]
        } else if let Some(results) = self.recurrence(node, &inputs) {
            results
        } else {
            moves::apply(node, &inputs)
        };
        for (name, value) in node.outputs.iter().zip(results) {
            if !name.is_empty() {
                self.set(name, value);
            }
        }
    }

    fn function(&self, node: &Node) -> Option<&'a Function> {
        self.functions.iter().find(|f| {
            f.name == node.op_type && f.domain == node.domain && f.overload == node.overload
        })
    }

    /// A function of the file; it sees nothing but what it is given.
    fn call(&mut self, function: &'a Function, inputs: Vec<Value>) -> Vec<Value> {
        if self.depth >= DEPTH {
            return vec![];
        }
        let names = function.inputs.iter().map(String::as_str);
        let scope = names.zip(inputs).collect();
        let outside = std::mem::replace(&mut self.scopes, vec![scope]);
        self.depth += 1;
        for node in &function.nodes {
            self.node(node);
        }
        self.depth -= 1;
        let results = function.outputs.iter().map(|o| self.get(o)).collect();
        self.scopes = outside;
        results
    }

    /// A body, which sees what is around it.
    fn body(&mut self, body: &'a Graph, inputs: Vec<Value>) -> Vec<Value> {
        if self.depth >= DEPTH {
            return vec![Value::default(); body.outputs.len()];
        }
        let names = body.inputs.iter().map(|v| v.name.as_str());
        self.scopes.push(names.zip(inputs).collect());
        self.depth += 1;
        self.graph(body);
        self.depth -= 1;
        let results = body.outputs.iter().map(|o| self.get(&o.name)).collect();
        self.scopes.pop();
        results
    }

    /// An operator gives a meaning to an axis.
    fn clue(&mut self, node: &Node, axis: Option<&Axis>, meaning: Meaning, weight: Weight) {
        let Some(axis) = axis else {
            return;
        };
        let who = format!("{} `{}`", node.op_type, label(node));
        let clue = |origin: &Origin| (*origin, meaning, weight, who.clone());
        self.found.extend(axis.origins.iter().map(clue));
    }
}

/// The name of a node, or of what it makes.
fn label(node: &Node) -> &str {
    let made = node.outputs.iter().find(|o| !o.is_empty());
    match (node.name.as_str(), made) {
        ("", Some(made)) => made,
        (name, _) => name,
    }
}
