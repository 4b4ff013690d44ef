//! One node as a model.

use crate::eval::{Array, EvalError, Inputs, Limits, Outputs, Session};
use crate::ir::{Attr, DType, Graph, Model, Node, ValueInfo};

pub(super) fn model(node: Node, opset: i64) -> Model {
    let info = |name: &String| ValueInfo {
        name: name.clone(),
        ..ValueInfo::default()
    };
    let named = |all: &[String]| all.iter().filter(|n| !n.is_empty()).map(info).collect();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), opset), ("com.microsoft".into(), 1)],
        graph: Graph {
            inputs: named(&node.inputs),
            outputs: named(&node.outputs),
            nodes: vec![node],
            ..Graph::default()
        },
        ..Model::default()
    }
}

/// Runs `op` on inputs of which `None` is left out.
pub(super) fn run(
    op: &str,
    opset: i64,
    attributes: &[(&str, Attr)],
    inputs: &[Option<Array>],
    outputs: usize,
) -> Result<Outputs, EvalError> {
    let name =
        |(i, x): (usize, &Option<Array>)| x.as_ref().map_or(String::new(), |_| format!("x{i}"));
    let node = Node {
        op_type: op.into(),
        inputs: inputs.iter().enumerate().map(name).collect(),
        outputs: (0..outputs).map(|i| format!("y{i}")).collect(),
        attributes: attributes
            .iter()
            .map(|(n, a)| ((*n).to_owned(), a.clone()))
            .collect(),
        ..Node::default()
    };
    let session = Session::open(&model(node, opset), None)?;
    let given = inputs
        .iter()
        .enumerate()
        .filter_map(|(i, x)| Some((format!("x{i}"), x.clone()?)));
    session.run(&given.collect::<Inputs>(), &Limits::default())
}

/// One float result of one node.
pub(super) fn floats(
    op: &str,
    opset: i64,
    attributes: &[(&str, Attr)],
    inputs: &[Option<Array>],
) -> Vec<f64> {
    let outputs = run(op, opset, attributes, inputs, 1).unwrap();
    outputs
        .get("y0")
        .unwrap()
        .exact()
        .floats()
        .unwrap()
        .to_vec()
}

pub(super) fn f32s(dims: &[usize], v: &[f64]) -> Option<Array> {
    Some(Array::from_floats(DType::F32, dims, v).unwrap())
}

pub(super) fn i64s(dims: &[usize], v: &[i64]) -> Option<Array> {
    let v: Vec<i128> = v.iter().map(|n| i128::from(*n)).collect();
    Some(Array::from_ints(DType::I64, dims, &v).unwrap())
}
