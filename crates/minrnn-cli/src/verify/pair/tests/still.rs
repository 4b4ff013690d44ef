//! Outputs that never change.

use minrnn_onnx::ir::{Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, request};
use super::*;

/// An output that is 0 wherever it is tried, of x through a product; one that hangs on sizes alone; `z = x`.
fn graph(dead: bool) -> Graph {
    let y = match dead {
        true => vec![
            node("MatMul", &["x", "w"], &["p"], &[]),
            node("Sub", &["p", "far"], &["q"], &[]),
            node("Relu", &["q"], &["y"], &[]),
        ],
        false => vec![
            node("Shape", &["x"], &["size"], &[]),
            node("ConstantOfShape", &["size"], &["y"], &[]),
        ],
    };
    let nodes = y.into_iter().chain([node("Identity", &["x"], &["z"], &[])]);
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3"), floats("z", "B,T,3")],
        nodes: nodes.collect(),
        initializers: vec![
            Constant::f32("w", vec![3, 3], &[1.0; 9]),
            Constant::f32("far", vec![], &[1e6]),
        ],
        ..Graph::default()
    }
}

#[test]
fn an_output_that_never_changes_shows_nothing() {
    let pair = |dead: bool, ignored: &[&str]| {
        let request = Request {
            ignored: ignored.iter().map(|n| (*n).to_owned()).collect(),
            ..request()
        };
        Folder::new()
            .pair(Kind::Same, [graph(dead), graph(dead)], &request)
            .unwrap()
    };
    let still = pair(true, &[]);
    assert!(!still.holds);
    noted(&still, "the same values in all runs");
    let report = Report::new(vec![still]);
    assert!(report.is_open() && report.question().contains("the same values in all runs"));
    assert!(report.verdict().0.contains("never changes"));
    assert!(pair(true, &["y"]).holds);
    // What no value reaches is meant to stay as it is.
    assert!(pair(false, &[]).holds);
}
