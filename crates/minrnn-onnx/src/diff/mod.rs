//! Where two models differ: not in names or order, but in what they compute.
//!
//! Models are the same here if their canonical texts are (see [`crate::text`]): same interface, same metadata, same
//! operators on the same values, same constants. If only the values of weights differ, the diff says so; otherwise it
//! shows the first place, from the inputs on, that one graph has and the other has not.

mod place;
mod show;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ir::{Graph, Model, ValueInfo, is_standard};
use crate::text::canonical::notes;
use crate::text::colour::{Content, graph_colour};
use crate::text::scope::{Scope, Source};
use crate::text::type_of;

/// What differs between two models, called left and right.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diff {
    /// Inputs, outputs, operator sets, metadata, functions.
    pub interface: Vec<Change>,
    /// Whether the graphs are the same but for values of weights.
    pub same_structure: bool,
    /// How often each operator is used, where that differs; sub-graphs count.
    pub operators: Vec<Count>,
    /// Nodes of both, sub-graphs included.
    pub nodes: [usize; 2],
    /// The first place that differs; if `None` though the structure differs, the same values are computed, but some
    /// of them once here and twice there.
    pub first: Option<Place>,
    /// Weights that differ. Of graphs of one structure only: else there is no telling which weight is which.
    pub weights: Vec<Weight>,
    /// Number of weights that were compared.
    pub compared: usize,
    /// Constants differ that no output needs.
    pub unused_constants: bool,
}

/// Something about the model that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What, e.g. `output logits`.
    pub what: String,
    /// On the left, if it is there.
    pub left: Option<String>,
    /// On the right, if it is there.
    pub right: Option<String>,
}

/// How often an operator is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// Operator, with its domain unless that is the standard one.
    pub operator: String,
    /// On the left.
    pub left: usize,
    /// On the right.
    pub right: usize,
}

/// A place in both graphs, reached over values that both have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The left side; `None` if the right has something that the left has not, and nothing in its place.
    pub left: Option<Side>,
    /// The right side.
    pub right: Option<Side>,
}

/// A place in one graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Side {
    /// The graph it is in: `graph`, or the sub-graph, e.g. `body of /layers.0/rnn/Scan`.
    pub scope: String,
    /// Name of the node.
    pub node: String,
    /// Nodes between the inputs of the graph and this one, on the longest path.
    pub depth: usize,
    /// The node with those that it reads from before it and those that read from it after it; names of the file.
    pub lines: Vec<String>,
    /// Which of the lines is the node.
    pub at: usize,
}

/// A weight whose values differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Weight {
    /// Name on the left.
    pub left: String,
    /// Name on the right.
    pub right: String,
    /// Element type and shape, e.g. `f32[4,8]`.
    pub shape: String,
    /// Number of values.
    pub len: usize,
    /// How many of them differ, bit for bit; `None` where the values are not in the file.
    pub changed: Option<usize>,
    /// Largest difference of two values; `None` if it is not a number, or the type has no numbers.
    pub largest: Option<f64>,
}

impl Diff {
    /// Whether the models are the same up to names and order.
    pub fn is_same(&self) -> bool {
        self.only_weights() && self.weights.is_empty() && !self.unused_constants
    }

    /// Whether nothing but values of weights differs, if anything does.
    pub fn only_weights(&self) -> bool {
        self.same_structure && self.interface.is_empty()
    }
}

/// Compares two models.
///
/// ```
/// use minrnn_onnx::{builder::Builder, diff::diff, ir::{DType, Dim, Model}};
///
/// let model = |sub: bool| {
///     let mut b = Builder::new("g");
///     let x = b.input("x", DType::F32, vec![Dim::Fixed(2)]);
///     let c = b.f32(0.5);
///     let y = if sub { b.sub(x, c) } else { b.add(x, c) };
///     b.output("y", y, DType::F32, vec![Dim::Fixed(2)]);
///     Model { ir_version: 8, opsets: vec![(String::new(), 17)], graph: b.finish().unwrap(), ..Model::default() }
/// };
/// assert!(diff(&model(true), &model(true)).is_same());
/// let found = diff(&model(true), &model(false));
/// assert_eq!(found.first.unwrap().left.unwrap().lines, ["%y = Sub(%x, %const.f32.5e-1)  # /Sub"]);
/// ```
pub fn diff(left: &Model, right: &Model) -> Diff {
    let scopes = [left, right].map(|m| Scope::new(Source::graph(&m.graph)));
    let [l, r] = &scopes;
    let colour = |content| [l, r].map(|s| graph_colour(s, None, content));
    let [a, b] = colour(Content::NoWeights);
    let same_structure = a == b;
    let (weights, compared) = if same_structure {
        weights::compare(l, r)
    } else {
        (vec![], 0)
    };
    // Where weights differ the whole does anyway, and there is nothing to look for.
    let unused_constants = same_structure && weights.is_empty() && {
        let [a, b] = colour(Content::Whole);
        a != b
    };
    Diff {
        interface: interface(left, right),
        same_structure,
        operators: counts(&left.graph, &right.graph),
        nodes: [left, right].map(|m| operators(&m.graph).into_values().sum()),
        first: (!same_structure).then(|| place::first(l, r)).flatten(),
        weights,
        compared,
        unused_constants,
    }
}

/// Everything that both sides have under a name, where it is not the same.
fn changes(left: Vec<(String, String)>, right: Vec<(String, String)>) -> Vec<Change> {
    let [mut a, mut b]: [BTreeMap<String, Vec<String>>; 2] = Default::default();
    let mut order = vec![];
    for (map, all) in [(&mut a, left), (&mut b, right)] {
        for (what, value) in all {
            order.push(what.clone());
            map.entry(what).or_default().push(value);
        }
    }
    let mut found: Vec<Change> = vec![];
    let mut seen = std::collections::BTreeSet::new();
    for what in order.into_iter().filter(|what| seen.insert(what.clone())) {
        let (left, right) = (a.remove(&what), b.remove(&what));
        if left != right {
            let [left, right] = [left, right].map(|v| v.map(|v| v.join(", ")));
            found.push(Change { what, left, right });
        }
    }
    found
}

fn interface(left: &Model, right: &Model) -> Vec<Change> {
    let values = |kind: &str, all: &[ValueInfo]| -> Vec<(String, String)> {
        let one = |v: &ValueInfo| (format!("{kind} {}", v.name), type_of(v));
        all.iter().map(one).collect()
    };
    let names = |all: &[ValueInfo]| all.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
    let mut found = vec![];
    let kinds = [
        ("input", &left.graph.inputs, &right.graph.inputs),
        ("output", &left.graph.outputs, &right.graph.outputs),
    ];
    for (kind, l, r) in kinds {
        let differ = changes(values(kind, l), values(kind, r));
        let [l, r] = [names(l), names(r)];
        if differ.is_empty() && l != r {
            found.push(Change {
                what: format!("order of {kind}s"),
                left: Some(l.join(", ")),
                right: Some(r.join(", ")),
            });
        }
        found.extend(differ);
    }
    found.extend(changes(notes(left), notes(right)));
    found
}

/// Nodes by operator, those of sub-graphs among them.
fn operators(graph: &Graph) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    count(graph, &mut all);
    all
}

fn count(graph: &Graph, all: &mut BTreeMap<String, usize>) {
    for node in &graph.nodes {
        let name = if is_standard(&node.domain) {
            node.op_type.clone()
        } else {
            format!("{}.{}", node.domain, node.op_type)
        };
        *all.entry(name).or_default() += 1;
        node.subgraphs().for_each(|(_, inner)| count(inner, all));
    }
}

fn counts(left: &Graph, right: &Graph) -> Vec<Count> {
    let (left, right) = (operators(left), operators(right));
    let mut names: Vec<_> = left.keys().chain(right.keys()).collect();
    names.sort();
    names.dedup();
    let of = |all: &BTreeMap<String, usize>, name| all.get(name).copied().unwrap_or(0);
    names
        .into_iter()
        .map(|name| Count {
            operator: name.clone(),
            left: of(&left, name),
            right: of(&right, name),
        })
        .filter(|c| c.left != c.right)
        .collect()
}
