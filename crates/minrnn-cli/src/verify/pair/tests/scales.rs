//! Files in which some values are far larger than the others.

use minrnn_onnx::ir::{Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, request, same};
use super::*;

/// `y = tanh(factor x) scale + shift`, `x [B, T, 3]`.
fn scaled(factor: f32, scale: [f32; 3], shift: [f32; 3]) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Mul", &["x", "factor"], &["more"], &[]),
            node("Tanh", &["more"], &["t"], &[]),
            node("Mul", &["t", "scale"], &["s"], &[]),
            node("Add", &["s", "shift"], &["y"], &[]),
        ],
        initializers: vec![
            Constant::f32("factor", vec![], &[factor]),
            Constant::f32("scale", vec![3], &scale),
            Constant::f32("shift", vec![3], &shift),
        ],
        ..Graph::default()
    }
}

/// The same in another order.
fn otherwise(mut graph: Graph) -> Graph {
    graph.nodes[3].inputs.reverse();
    graph.nodes[0].inputs.reverse();
    graph.nodes[2].inputs[0] = "t_half".into();
    graph.nodes[2].inputs[1] = "scale_twice".into();
    let half = node("Mul", &["t", "half"], &["t_half"], &[]);
    let twice = node("Add", &["scale", "scale"], &["scale_twice"], &[]);
    graph.nodes.splice(2..2, [half, twice]);
    graph
        .initializers
        .push(Constant::f32("half", vec![], &[0.5]));
    graph
}

/// A masked column, and a channel of large values, excuse no other.
#[test]
fn one_large_channel_does_not_excuse_the_others() {
    let folder = Folder::new();
    let one = [1.0; 3];
    let none = [0.0; 3];
    let kinds = [
        (one, [0.0, 0.0, -1e9]),
        (one, [0.0, f32::MIN, 0.0]),
        ([1.0, 1.0, 1e9], none),
        ([1e6, 1.0, 1.0], none),
    ];
    for (scale, shift) in kinds {
        let a = folder.write("a.onnx", scaled(1.0, scale, shift));
        let b = folder.write("b.onnx", otherwise(scaled(1.0, scale, shift)));
        let other = folder.write("other.onnx", scaled(1.0001, scale, shift));
        let pair = same(&a, &b, &request());
        assert!(pair.holds, "{scale:?} {shift:?} {:#?}", pair.rows);
        let pair = same(&a, &other, &request());
        assert!(!pair.holds, "{scale:?} {shift:?} {:#?}", pair.rows);
        // It is a small value that is named, not the largest difference.
        let row = &pair.rows[0];
        let worst = row.worst.as_ref().unwrap();
        assert!(
            row.of_tolerance > 10.0 && worst.first != worst.second,
            "{row:?}"
        );
    }
}

/// A sum with a constant that is far larger than what varies: another weight shows, another rounding of the constant does not.
#[test]
fn a_large_sum_does_not_excuse_what_varies_in_it() {
    let folder = Folder::new();
    let longest = Request {
        longest: Some(24),
        ..request()
    };
    let compared = |a: Graph, b: Graph| folder.pair(Kind::Same, [a, b], &longest).unwrap();
    let sum = |factor, constant: f32| scaled(factor, [1.0; 3], [constant; 3]);
    for constant in [1e4, 1e6, -3e6] {
        let pair = compared(sum(1.0, constant), otherwise(sum(1.0, constant)));
        assert!(pair.holds, "{constant} {:#?}", pair.rows);
        let near = f32::from_bits(constant.to_bits() + 1);
        let pair = compared(sum(1.0, constant), sum(1.0, near));
        assert!(pair.holds, "{constant} {:#?}", pair.rows);
        let pair = compared(sum(1.0, constant), sum(1.05, constant));
        assert!(!pair.holds, "{constant} {:#?}", pair.rows);
        if constant != 1e4 {
            noted(&pair, "vary by");
        }
    }
    // Half of f32's digits of what varies: a weight that was rounded is no other weight.
    let pair = compared(sum(1.0, 1e6), sum(1.0 + 4.0 * f32::EPSILON, 1e6));
    assert!(pair.holds, "{:#?}", pair.rows);
}

/// What a sum with a large number takes away in both files hides a weight: float64 tells the two apart, and that is said.
#[test]
fn a_weight_behind_lost_digits_is_told_of() {
    let lost = |scale: [f32; 3]| {
        let mut graph = scaled(1.0, scale, [0.0; 3]);
        graph.nodes[3].outputs = vec!["sum".into()];
        graph
            .nodes
            .push(node("Add", &["sum", "large"], &["near"], &[]));
        graph
            .nodes
            .push(node("Sub", &["near", "large"], &["y"], &[]));
        graph
            .initializers
            .push(Constant::f32("large", vec![], &[1e6]));
        graph
    };
    let request = Request {
        longest: Some(64),
        ..request()
    };
    let pair = |scale: [f32; 3]| {
        let graphs = [lost([1.0; 3]), lost(scale)];
        Folder::new().pair(Kind::Same, graphs, &request).unwrap()
    };
    let whole = |pair: &Pair| {
        let mut rows = pair.rows.iter();
        rows.find(|r| r.check == "whole").unwrap().untold
    };
    let other = pair([1.05, 1.0, 1.0]);
    assert!(whole(&other) > 0, "{:?}", other.rows);
    noted(&other, "hides what float64 tells apart");
    let same = pair([1.0; 3]);
    assert!(same.holds && whole(&same) == 0, "{:?}", same.notes);
}
