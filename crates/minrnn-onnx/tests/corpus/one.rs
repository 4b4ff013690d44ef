//! Graphs of one node, from few words.

use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor, ValueInfo};

/// Version of the file format that came with an opset.
pub(crate) fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=14 => 7,
        15..=18 => 8,
        19 | 20 => 9,
        21 | 22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        _ => 14,
    }
}

fn dtype(name: &str) -> DType {
    *DType::ALL
        .iter()
        .find(|d| d.name() == name)
        .unwrap_or_else(|| panic!("type `{name}`"))
}

/// `f32[B,3]`
fn typed(text: &str) -> (DType, Vec<&str>) {
    let (name, dims) = text.split_once('[').unwrap();
    let dims = dims.strip_suffix(']').unwrap();
    (
        dtype(name),
        dims.split(',').filter(|d| !d.is_empty()).collect(),
    )
}

fn value(name: &str, text: &str) -> ValueInfo {
    let (dtype, dims) = typed(text);
    let dim = |d: &&str| d.parse().map_or_else(|_| Dim::symbol(*d), Dim::Fixed);
    ValueInfo::new(name, dtype, dims.iter().map(dim).collect())
}

/// A tensor from `i64[2]=3,-1`.
pub(crate) fn tensor(name: &str, text: &str) -> Tensor {
    let (ty, values) = text.split_once('=').unwrap();
    let (dtype, dims) = typed(ty);
    let bytes = values.split(',').filter(|v| !v.is_empty()).flat_map(|v| {
        let n: f64 = v.parse().unwrap();
        let bits = match dtype {
            DType::F32 => u64::from((n as f32).to_bits()),
            DType::F64 => n.to_bits(),
            DType::F16 if n == 1.0 => 0x3c00,
            DType::BF16 => u64::from((n as f32).to_bits() >> 16),
            DType::F16 => 0,
            _ => n as i64 as u64,
        };
        bits.to_le_bytes()[..dtype.bits().unwrap() / 8].to_vec()
    });
    let bytes = bytes.collect();
    let dims = dims.iter().map(|d| d.parse().unwrap()).collect();
    Tensor::bytes(name, dtype, dims, bytes)
}

/// A graph of one node. Inputs are `f32[B,3]` (an input of the graph), `i64[1]=2` (a constant) or `-` (left out);
/// outputs are declared as given, or `-`.
pub(crate) fn one(
    op: &str,
    opset: i64,
    inputs: &str,
    attributes: &[(&str, Attr)],
    outputs: &str,
) -> Model {
    let mut graph = Graph {
        name: "one".into(),
        ..Graph::default()
    };
    let mut node = Node {
        op_type: op.into(),
        name: format!("/{op}"),
        attributes: attributes
            .iter()
            .map(|(n, a)| ((*n).to_owned(), a.clone()))
            .collect(),
        ..Node::default()
    };
    for (i, text) in inputs.split_whitespace().enumerate() {
        let name = if text == "-" {
            String::new()
        } else {
            format!("x{i}")
        };
        node.inputs.push(name.clone());
        match text {
            "-" => {}
            _ if text.contains('=') => graph.initializers.push(tensor(&name, text)),
            _ => graph.inputs.push(value(&name, text)),
        }
    }
    for (i, text) in outputs.split_whitespace().enumerate() {
        let name = if text == "-" {
            String::new()
        } else {
            format!("y{i}")
        };
        node.outputs.push(name.clone());
        if text != "-" {
            graph.outputs.push(value(&name, text));
        }
    }
    graph.nodes.push(node);
    Model {
        ir_version: ir_version(opset),
        opsets: vec![(String::new(), opset)],
        producer: "minrnn tests".into(),
        graph,
        ..Model::default()
    }
}

pub(crate) fn int(n: i64) -> Attr {
    Attr::Int(n)
}

pub(crate) fn ints(n: &[i64]) -> Attr {
    Attr::Ints(n.to_vec())
}

pub(crate) fn text(s: &str) -> Attr {
    Attr::Str(s.as_bytes().to_vec())
}
