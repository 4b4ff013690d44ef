//! Right files that round otherwise: constants folded before a gate that is saturated, and sums in another order.

use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Tensor as Constant, ValueInfo};

use super::graphs::{Folder, floats, node};
use super::*;

const WIDTH: usize = 8;

/// `y = gate((x W) s + b)`, or with `s` folded into the weights, or these a little wrong.
fn gated(gate: &str, scale: f32, folded: bool, wrong: f32) -> Graph {
    let mut rng = Rng::named(7, "weights");
    let mut some =
        |n: usize, by: f32| -> Vec<f32> { (0..n).map(|_| by * rng.normal() as f32).collect() };
    let (mut w, s, b) = (
        some(WIDTH * WIDTH, 1.0),
        some(WIDTH, scale),
        some(WIDTH, 1.0),
    );
    w[3] *= 1.0 + wrong;
    let both: Vec<f32> = (0..w.len()).map(|i| w[i] * s[i % WIDTH]).collect();
    let size = WIDTH as i64;
    let initializers = vec![
        Constant::f32("w", vec![size, size], &w),
        Constant::f32("ws", vec![size, size], &both),
        Constant::f32("s", vec![size], &s),
        Constant::f32("b", vec![size], &b),
    ];
    let mut nodes = match folded {
        true => vec![node("MatMul", &["x", "ws"], &["q"], &[])],
        false => vec![
            node("MatMul", &["x", "w"], &["p"], &[]),
            node("Mul", &["p", "s"], &["q"], &[]),
        ],
    };
    nodes.push(node("Add", &["q", "b"], &["z"], &[]));
    nodes.push(node(gate, &["z"], &["y"], &[]));
    Graph {
        inputs: vec![floats("x", "B,T,8")],
        outputs: vec![floats("y", "B,T,8")],
        nodes,
        initializers,
        ..Graph::default()
    }
}

#[test]
fn constants_that_were_folded_before_a_saturated_gate_hold() {
    let longest = Request {
        longest: Some(64),
        ..Request::default()
    };
    for gate in ["Tanh", "Sigmoid", "HardSigmoid"] {
        for scale in [1.0, 100.0, 3000.0, 1e5] {
            let pair = |wrong: f32| {
                let graphs = [
                    gated(gate, scale, false, 0.0),
                    gated(gate, scale, true, wrong),
                ];
                Folder::new().pair(Kind::Same, graphs, &longest).unwrap()
            };
            let right = pair(0.0);
            let told = || (&right.rows, &right.notes);
            assert!(right.holds, "{gate} {scale}: {:#?}", told());
            // Of a steep gate few values lie where a small change shows.
            let wrong = if scale > 100.0 { 0.05 } else { 1e-4 };
            assert!(!pair(wrong).holds, "{gate} {scale}");
        }
    }
}

/// A running sum (or product) of `x` by its operator, or step by step in a Scan.
fn running(op: &str, stepwise: bool, factor: f32) -> Graph {
    let (each, begin) = match op {
        "CumProd" => ("Mul", 1.0),
        _ => ("Add", 0.0),
    };
    let info = |name: &str| ValueInfo {
        name: name.into(),
        dtype: Some(DType::F32),
        dims: Some(vec![Dim::symbol("B"), Dim::Fixed(2)]),
        ..ValueInfo::default()
    };
    let body = Graph {
        name: "body".into(),
        inputs: vec![info("h"), info("v")],
        outputs: vec![info("next"), info("out")],
        nodes: vec![
            node(each, &["h", "v"], &["next"], &[]),
            node("Identity", &["next"], &["out"], &[]),
        ],
        ..Graph::default()
    };
    let along = [
        ("body", Attr::Graph(Box::new(body))),
        ("num_scan_inputs", Attr::Int(1)),
        ("scan_input_axes", Attr::Ints(vec![1])),
        ("scan_output_axes", Attr::Ints(vec![1])),
    ];
    let mut nodes = vec![
        node("Mul", &["x", "small"], &["less"], &[]),
        node("Add", &["less", "offset"], &["z"], &[]),
    ];
    match stepwise {
        true => nodes.extend([
            node(
                "ReduceSum",
                &["z", "time"],
                &["sums"],
                &[("keepdims", Attr::Int(0))],
            ),
            node("Mul", &["sums", "zero"], &["zeros"], &[]),
            node("Add", &["zeros", "begin"], &["h0"], &[]),
            node("Scan", &["h0", "z"], &["last", "y"], &along),
        ]),
        false => nodes.push(node(op, &["z", "axis"], &["y"], &[])),
    }
    Graph {
        inputs: vec![floats("x", "B,T,2")],
        outputs: vec![floats("y", "B,T,2")],
        nodes,
        initializers: vec![
            Constant::f32("small", vec![], &[factor]),
            Constant::f32("offset", vec![], &[1.0]),
            Constant::f32("zero", vec![], &[0.0]),
            Constant::f32("begin", vec![], &[begin]),
            Constant::i64("time", vec![1], &[1]),
            Constant::i64("axis", vec![], &[1]),
        ],
        ..Graph::default()
    }
}

#[test]
fn sums_in_another_order_hold() {
    let longest = Request {
        longest: Some(4096),
        ..Request::default()
    };
    for op in ["CumSum", "CumProd"] {
        let folder = Folder::new();
        let pair = |factor: f32| {
            let whole = folder.write_with("whole.onnx", 26, running(op, false, 0.01));
            let steps = folder.write_with("steps.onnx", 26, running(op, true, factor));
            let mut quiet = |_: usize, _: usize, _: &str| ();
            compare(&whole, &steps, Kind::Same, &longest, &mut quiet).unwrap()
        };
        let right = pair(0.01);
        assert!(right.holds, "{op}: {:#?} {:?}", right.rows, right.notes);
        assert!(!pair(0.010_01).holds, "{op}");
    }
}
