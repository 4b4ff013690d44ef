//! Foreign graphs in the words of our engine: rewritings that change no value, each named in the report.

use minrnn_onnx::ir::{Attr, Graph, Model, Tensor};

/// Rewrites `model` in place and says what was rewritten.
///
/// `CumSum` takes its axis as a tensor of one value; the standard has it 0-D or 1-D, the engine only 0-D.
pub(super) fn normalise(model: &mut Model) -> Vec<String> {
    let mut notes = vec![];
    scalar_axes(&mut model.graph, &mut notes);
    notes
}

fn scalar_axes(graph: &mut Graph, notes: &mut Vec<String>) {
    for i in 0..graph.nodes.len() {
        for (_, attr) in &mut graph.nodes[i].attributes {
            match attr {
                Attr::Graph(body) => scalar_axes(body, notes),
                Attr::Graphs(bodies) => bodies.iter_mut().for_each(|b| scalar_axes(b, notes)),
                _ => {}
            }
        }
        let node = &graph.nodes[i];
        if node.op_type != "CumSum" {
            continue;
        }
        let Some(axis) = node.inputs.get(1).and_then(|name| constant(graph, name)) else {
            continue;
        };
        if axis.dims != [1] {
            continue;
        }
        let name = format!("{}/as_scalar", axis.name);
        let scalar = Tensor {
            name: name.clone(),
            dims: vec![],
            ..axis
        };
        let node = &mut graph.nodes[i];
        notes.push(format!(
            "CumSum `{}`: its axis `{}` is taken as 0-D, as the engine wants it",
            node.name, node.inputs[1]
        ));
        node.inputs[1].clone_from(&name);
        if graph.initializers.iter().all(|t| t.name != name) {
            graph.initializers.push(scalar);
        }
    }
}

/// A constant of the graph, by the name of its value.
pub(super) fn constant(graph: &Graph, name: &str) -> Option<Tensor> {
    if let Some(found) = graph.initializers.iter().find(|t| t.name == name) {
        return Some(found.clone());
    }
    let node = graph
        .nodes
        .iter()
        .find(|n| n.outputs.iter().any(|o| o == name))?;
    match (node.op_type.as_str(), node.attr("value")) {
        ("Constant", Some(Attr::Tensor(t))) => Some(Tensor {
            name: name.into(),
            ..t.clone()
        }),
        _ => None,
    }
}
