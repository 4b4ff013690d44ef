//! Files that go along time from its end: what comes later reaches what came before, and a piece of a sequence does not know it.

use minrnn_onnx::ir::{Attr, Graph, Model, Node};

use super::case::Two;
use crate::verify::bisect::label;

impl Two {
    /// Why the first file cannot be run in pieces, where it goes along time from its end.
    pub(super) fn no_pieces(&self) -> Option<String> {
        let file = &self.files[0];
        let node = backward(&file.model).filter(|_| self.takes_states() && self.timed())?;
        Some(format!(
            "{} goes along time from its end too (node `{}`, {}): a piece does not know what follows it, so that no run in chunks was held to the whole",
            file.name(),
            label(node),
            node.op_type
        ))
    }
}

/// The first node that goes along time from its end.
pub(super) fn backward(model: &Model) -> Option<&Node> {
    let functions = model.functions.iter().map(|f| (&f.nodes[..], None));
    let graph = (&model.graph.nodes[..], Some(&model.graph));
    let mut all = std::iter::once(graph).chain(functions);
    all.find_map(|(nodes, graph)| first(nodes, graph))
}

fn first<'m>(nodes: &'m [Node], graph: Option<&'m Graph>) -> Option<&'m Node> {
    nodes.iter().find_map(|node| {
        let mut inner = node.subgraphs();
        match is_backward(node, nodes, graph) {
            true => Some(node),
            false => inner.find_map(|(_, g)| first(&g.nodes, Some(g))),
        }
    })
}

fn is_backward(node: &Node, nodes: &[Node], graph: Option<&Graph>) -> bool {
    match node.op_type.as_str() {
        "RNN" | "GRU" | "LSTM" => {
            let ahead = |d: &Attr| matches!(d, Attr::Str(s) if s == b"forward");
            node.attr("direction").is_some_and(|d| !ahead(d))
        }
        "Scan" => node
            .ints("scan_input_directions")
            .is_some_and(|all| all.contains(&1)),
        "ReverseSequence" => true,
        // Along any axis but the last, which holds features.
        "Slice" => {
            let given = |i: usize| numbers(node.inputs.get(i)?, nodes, graph);
            let axes = given(3).unwrap_or_default();
            let steps = given(4).unwrap_or_default();
            let mut pairs = steps.iter().zip(axes);
            pairs.any(|(step, axis)| *step < 0 && [0, 1, -2, -3].contains(&axis))
        }
        _ => false,
    }
}

/// The integers of a constant.
fn numbers(name: &str, nodes: &[Node], graph: Option<&Graph>) -> Option<Vec<i64>> {
    let initializer = graph.and_then(|g| g.initializers.iter().find(|t| t.name == name));
    if let Some(t) = initializer {
        return t.to_i64();
    }
    let node = nodes.iter().find(|n| n.outputs.iter().any(|o| o == name))?;
    match node.attr("value") {
        Some(Attr::Tensor(t)) => t.to_i64(),
        _ => node.ints("value_ints").map(<[i64]>::to_vec),
    }
}
