//! Bounds far out, means far from 0, and energies: numbers around 0 do not reach them.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, request};
use super::*;

fn graph(nodes: Vec<minrnn_onnx::ir::Node>, constants: &[(&str, &[f32])]) -> Graph {
    let constant = |(name, values): &(&str, &[f32])| {
        let dims = if values.len() == 1 {
            vec![]
        } else {
            vec![values.len() as i64]
        };
        Constant::f32(*name, dims, values)
    };
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes,
        initializers: constants.iter().map(constant).collect(),
        ..Graph::default()
    }
}

#[track_caller]
fn holds(graphs: [Graph; 2]) -> bool {
    Folder::new()
        .pair(Kind::Same, graphs, &request())
        .unwrap()
        .holds
}

fn bounded(op: &str, bound: f32) -> Graph {
    let inputs: &[&str] = match op {
        "Clip" => &["less", "low", "high"],
        _ => &["less", "high"],
    };
    let nodes = vec![
        node("Sub", &["x", "one"], &["less"], &[]),
        node(op, inputs, &["y"], &[]),
    ];
    graph(
        nodes,
        &[("one", &[1.0]), ("low", &[-bound]), ("high", &[bound])],
    )
}

#[test]
fn bounds_are_drawn_on_both_sides() {
    for op in ["Clip", "Min"] {
        assert!(!holds([bounded(op, 1000.0), bounded(op, 3000.0)]), "{op}");
        assert!(holds([bounded(op, 1000.0), bounded(op, 1000.0)]), "{op}");
    }
}

/// `tanh((x - mean) / deviation)`, written as that or as a product and a sum.
fn stamped(means: &[f32], deviation: f32, folded: bool) -> Graph {
    let by = [1.0 / deviation];
    let plus: Vec<f32> = means.iter().map(|m| -m / deviation).collect();
    let nodes = match folded {
        false => vec![
            node("Sub", &["x", "mean"], &["less"], &[]),
            node("Div", &["less", "deviation"], &["z"], &[]),
            node("Tanh", &["z"], &["y"], &[]),
        ],
        true => vec![
            node("Mul", &["x", "by"], &["less"], &[]),
            node("Add", &["less", "plus"], &["z"], &[]),
            node("Tanh", &["z"], &["y"], &[]),
        ],
    };
    graph(
        nodes,
        &[
            ("mean", means),
            ("deviation", &[deviation]),
            ("by", &by),
            ("plus", &plus),
        ],
    )
}

#[test]
fn inputs_are_drawn_around_their_mean() {
    let means: &[f32] = &[1000.0, -300.0, 0.0];
    assert!(!holds([
        stamped(means, 2.0, false),
        stamped(means, 2.2, false)
    ]));
    assert!(!holds([
        stamped(&[1000.0], 2.0, false),
        stamped(&[1001.0], 2.0, false)
    ]));
    for deviation in [2.0, 1.7] {
        assert!(holds([
            stamped(means, deviation, false),
            stamped(means, deviation, true)
        ]));
        assert!(holds([
            stamped(means, deviation, false),
            stamped(means, deviation, false)
        ]));
    }
}

/// 0 in frames of less energy than `least`.
fn gated(op: &str, least: f32) -> Graph {
    let nodes = vec![
        node(op, &["x"], &["energy"], &[("axes", Attr::Ints(vec![2]))]),
        node("Greater", &["energy", "least"], &["loud"], &[]),
        node("Where", &["loud", "x", "zero"], &["y"], &[]),
    ];
    graph(nodes, &[("least", &[least]), ("zero", &[0.0])])
}

#[test]
fn energies_are_bounds_too() {
    for op in ["ReduceSumSquare", "ReduceL2"] {
        assert!(!holds([gated(op, 1e-5), gated(op, 1.1e-5)]), "{op}");
        assert!(holds([gated(op, 1e-5), gated(op, 1e-5)]), "{op}");
    }
}

/// `x == x ? x : value`.
#[test]
fn what_is_not_itself_is_drawn() {
    let filled = |value: f32| {
        let nodes = vec![
            node("Equal", &["x", "x"], &["is"], &[]),
            node("Where", &["is", "x", "value"], &["y"], &[]),
        ];
        graph(nodes, &[("value", &[value])])
    };
    assert!(!holds([filled(0.0), filled(1.0)]));
    assert!(holds([filled(0.0), filled(0.0)]));
}
