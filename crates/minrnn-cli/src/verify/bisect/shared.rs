//! Which tensors of two graphs are the same thing.
//!
//! Files of ours share the names of nodes, which come from the scopes of the model; how a recurrence is computed inside
//! differs by form, so there only its ends `a`, `b` and `h` are shared, by the metadata. Files of other programs share what
//! has the same name and comes from the same operator.

use std::collections::{BTreeMap, BTreeSet};

use minrnn_onnx::ir::{Graph, Node};
use serde_json::Value as Json;

use crate::verify::pair::{GraphFile, Kind, Two};

/// A tensor of the second file and its counterpart in the first.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) first: String,
    pub(super) second: String,
    /// The node of the second file that makes it.
    pub(super) node: usize,
    /// Whether it depends on what is fed; a constant is the same at every step.
    pub(super) fed: bool,
    /// Whether it is an output: of those it is known what belongs to what.
    pub(super) end: bool,
}

/// A recurrence of the second file: names of `a`, `b`, `h0`, `h`.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    pub(super) a: String,
    pub(super) b: String,
    pub(super) h0: String,
    pub(super) h: String,
    /// Whether it is `h0 * a + b` of real numbers.
    pub(super) linear: bool,
}

/// Recurrences as a file of ours lists them; none in a file of another program.
pub(super) fn recurrences(file: &GraphFile) -> Vec<Recurrence> {
    let text = file.metadata("minrnn.recurrences").unwrap_or("[]");
    let list: Vec<Json> = minrnn_model::json::from_str(text).unwrap_or_default();
    let one = |r: &Json| {
        let name = |key: &str| Some(r[key].as_str()?.to_owned());
        Some(Recurrence {
            a: name("a")?,
            b: name("b")?,
            h0: name("h0")?,
            h: name("h")?,
            linear: r.get("law").is_none(),
        })
    };
    list.iter().filter_map(one).collect()
}

/// The node that makes each tensor.
pub(super) fn makers(graph: &Graph) -> BTreeMap<&str, usize> {
    let outputs = graph
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(i, n)| n.outputs.iter().map(move |o| (o.as_str(), i)));
    outputs.filter(|(o, _)| !o.is_empty()).collect()
}

/// Nodes from which `end` is computed, down to the tensors `stop`; in the order of the file.
pub(super) fn between(graph: &Graph, end: &str, stop: &BTreeSet<&str>) -> BTreeSet<usize> {
    let makers = makers(graph);
    let mut found = BTreeSet::new();
    let mut open = vec![end];
    while let Some(name) = open.pop() {
        let Some(node) = makers.get(name).filter(|_| !stop.contains(name)) else {
            continue;
        };
        if found.insert(*node) {
            open.extend(reads(&graph.nodes[*node]));
        }
    }
    found
}

/// What a node reads, its bodies included: of these what they take from around them.
pub(super) fn reads(node: &Node) -> Vec<&str> {
    let mut names: Vec<&str> = node
        .inputs
        .iter()
        .map(String::as_str)
        .filter(|n| !n.is_empty())
        .collect();
    for (_, body) in node.subgraphs() {
        let inputs = body.inputs.iter().map(|v| v.name.as_str());
        let constants = body.initializers.iter().map(|t| t.name.as_str());
        let sparse = body.sparse_initializers.iter();
        let sparse = sparse.map(|t| t.values.name.as_str());
        let made = body.nodes.iter().flat_map(|n| &n.outputs);
        let own: BTreeSet<&str> = inputs
            .chain(constants)
            .chain(sparse)
            .chain(made.map(String::as_str))
            .collect();
        let outside = body.nodes.iter().flat_map(reads);
        let results = body.outputs.iter().map(|v| v.name.as_str());
        for name in outside.chain(results) {
            if !name.is_empty() && !own.contains(name) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Nodes inside of recurrences; their ends are compared by themselves.
fn inside(file: &GraphFile) -> BTreeSet<usize> {
    let all = recurrences(file);
    let of = |r: &Recurrence| {
        between(
            &file.model.graph,
            &r.h,
            &BTreeSet::from([r.a.as_str(), r.b.as_str(), r.h0.as_str()]),
        )
    };
    all.iter().flat_map(of).collect()
}

/// Which nodes depend on an input.
fn fed(graph: &Graph) -> Vec<bool> {
    let mut known: BTreeSet<&str> = graph.inputs.iter().map(|i| i.name.as_str()).collect();
    let constants: BTreeSet<&str> = graph.initializers.iter().map(|t| t.name.as_str()).collect();
    known.retain(|n| !constants.contains(n));
    let mut all = vec![];
    for node in &graph.nodes {
        // A shape is a number that every step has.
        let size = ["Shape", "Size"].contains(&node.op_type.as_str());
        let is = !size && reads(node).iter().any(|n| known.contains(n));
        if is {
            known.extend(node.outputs.iter().map(String::as_str));
        }
        all.push(is);
    }
    all
}

/// Which nodes make something of sizes alone: of a step these are others than of the sequence.
fn sized(graph: &Graph, fed: &[bool]) -> Vec<bool> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut all = vec![];
    for (node, fed) in graph.nodes.iter().zip(fed) {
        let begins = ["Shape", "Size"].contains(&node.op_type.as_str());
        let is = !fed && (begins || reads(node).iter().any(|n| known.contains(n)));
        if is {
            known.extend(node.outputs.iter().map(String::as_str));
        }
        all.push(is);
    }
    all
}

/// All shared tensors, in the order in which the second file computes them.
pub(super) fn shared(two: &Two) -> Vec<Shared> {
    let [first, second] = &two.files;
    let ours = two
        .files
        .iter()
        .all(|f| f.metadata("minrnn.form").is_some());
    let (a, b) = (&first.model.graph, &second.model.graph);
    let hidden = [inside(first), inside(second)];
    let by_name: BTreeMap<&str, usize> = a
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, n)| !n.name.is_empty())
        .map(|(i, n)| (n.name.as_str(), i))
        .collect();
    let there = makers(a);
    let ends: BTreeMap<String, String> = recurrences(second)
        .into_iter()
        .zip(recurrences(first))
        .flat_map(|(s, f)| [(s.a, f.a), (s.b, f.b), (s.h, f.h)])
        .collect();
    let fed = fed(b);
    let sized = sized(b, &fed);
    let apart = two.kind == Kind::Step || two.face.frames[0] != two.face.frames[1];
    let mut all = vec![];
    for (i, node) in b.nodes.iter().enumerate() {
        if apart && sized[i] {
            continue;
        }
        for (k, name) in node
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, n)| !n.is_empty())
        {
            let counterpart = if let Some(end) = ends.get(name) {
                Some(end.clone())
            } else if ours {
                let twin = by_name
                    .get(node.name.as_str())
                    .filter(|j| !hidden[0].contains(j) && !hidden[1].contains(&i));
                twin.and_then(|j| a.nodes[*j].outputs.get(k))
                    .filter(|n| !n.is_empty())
                    .cloned()
            } else {
                // A name alone is chance; the same operator beside it is a namesake.
                let twin = there.get(name.as_str()).filter(|j| {
                    let (a, b) = (&a.nodes[**j], node);
                    a.op_type == b.op_type && a.domain == b.domain
                });
                twin.map(|_| name.clone())
            };
            if let Some(counterpart) = counterpart {
                all.push(Shared {
                    first: counterpart,
                    second: name.clone(),
                    node: i,
                    fed: fed[i],
                    end: false,
                });
            }
        }
    }
    // Outputs are the same thing whatever they are called.
    for names in &two.face.outputs {
        if let (Some(i), false) = (
            makers(b).get(names[1].as_str()),
            all.iter().any(|s| s.second == names[1]),
        ) {
            all.push(Shared {
                first: names[0].clone(),
                second: names[1].clone(),
                node: *i,
                fed: true,
                end: true,
            });
        }
    }
    for s in &mut all {
        s.end |= two.face.outputs.iter().any(|names| names[1] == s.second);
    }
    all.sort_by_key(|s| s.node);
    all
}
