//! Values that grow with T until their type has no number for them.

use minrnn_onnx::ir::{Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, request};
use super::*;

/// `y[t] = x[t] (e^(rate (t + 1)) - part e^(rate (t + 1)))`: infinite less infinite from some T on, in float32 before float64.
fn graph(rate: f32, part: f32) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Mul", &["x", "zero"], &["none"], &[]),
            node("Add", &["none", "rate"], &["rates"], &[]),
            node("CumSum", &["rates", "axis"], &["sum"], &[]),
            node("Exp", &["sum"], &["grown"], &[]),
            node("Mul", &["grown", "part"], &["less"], &[]),
            node("Mul", &["grown", "x"], &["a"], &[]),
            node("Mul", &["less", "x"], &["b"], &[]),
            node("Sub", &["a", "b"], &["y"], &[]),
        ],
        initializers: vec![
            Constant::f32("zero", vec![], &[0.0]),
            Constant::f32("rate", vec![], &[rate]),
            Constant::f32("part", vec![], &[part]),
            Constant::i64("axis", vec![], &[1]),
        ],
        ..Graph::default()
    }
}

fn pair(rate: f32, parts: [f32; 2]) -> Pair {
    let graphs = parts.map(|part| graph(rate, part));
    let request = Request {
        longest: Some(48),
        ..request()
    };
    Folder::new().pair(Kind::Same, graphs, &request).unwrap()
}

#[test]
fn files_whose_values_grow_hold_as_far_as_there_are_numbers() {
    let same = pair(20.0, [0.5, 0.5]);
    assert!(same.holds, "{:?}", same.notes);
    noted(&same, "they grow with T, and beyond it");
    let whole = same.rows.iter().find(|r| r.check == "whole").unwrap();
    assert!(whole.grows >= Some(16) && whole.no_number > 0, "{whole:?}");
    let said = Report::new(vec![same]).verdict().0;
    assert!(said.contains("as far as there are numbers"), "{said}");
    assert!(!pair(20.0, [0.5, 0.4]).holds);
}

#[test]
fn numbers_that_end_after_few_steps_leave_the_verdict_open() {
    let same = pair(60.0, [0.5, 0.5]);
    assert!(!same.holds);
    assert!(Report::new(vec![same]).is_open());
}
