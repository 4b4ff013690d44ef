//! Ranges that are said for inputs, decisions that fall on a bound, rows of no steps.

use minrnn_onnx::ir::{Attr, DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, info, node, noted, request};
use super::*;

fn pair(graphs: [Graph; 2], request: &Request) -> Pair {
    Folder::new().pair(Kind::Same, graphs, request).unwrap()
}

fn said(spec: &str) -> Request {
    let mut request = request();
    request.inputs.extend([input_spec(spec).unwrap()]);
    request
}

/// `y = log(x + more)`.
fn log(more: f32) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Add", &["x", "more"], &["sum"], &[]),
            node("Log", &["sum"], &["y"], &[]),
        ],
        initializers: vec![Constant::f32("more", vec![], &[more])],
        ..Graph::default()
    }
}

/// Of a logarithm of what is negative nothing can be told, until a range says that there is none.
#[test]
fn floats_are_drawn_within_the_range_that_was_said() {
    let open = pair([log(0.0), log(0.0)], &request());
    assert!(Report::new(vec![open.clone()]).is_open());
    noted(&open, "--input x=:float=LOW..HIGH");
    let range = said("x=:float=0.001..5");
    assert!(pair([log(0.0), log(0.0)], &range).holds);
    assert!(!pair([log(0.0), log(0.01)], &range).holds);
    let both = said("x=B,T,3:float=0.001..5");
    assert!(pair([log(0.0), log(0.0)], &both).holds);
    let beyond = said("x=:float=0..1e300");
    let error = Folder::new().pair(Kind::Same, [log(1.0), log(1.0)], &beyond);
    assert!(error.unwrap_err().to_string().contains("beyond the type"));
}

/// A mask of floats is 0 or 1, if that was said: a product with it is a choice by it.
#[test]
fn floats_are_whole_numbers_of_a_range_that_was_said() {
    let graph = |choice: bool| {
        let nodes = match choice {
            true => vec![
                node("Greater", &["mask", "none"], &["keep"], &[]),
                node("Where", &["keep", "x", "none"], &["y"], &[]),
            ],
            false => vec![node("Mul", &["x", "mask"], &["y"], &[])],
        };
        Graph {
            inputs: vec![floats("x", "B,T"), floats("mask", "B,T")],
            outputs: vec![floats("y", "B,T")],
            nodes,
            initializers: vec![Constant::f32("none", vec![], &[0.0])],
            ..Graph::default()
        }
    };
    assert!(!pair([graph(false), graph(true)], &request()).holds);
    let mask = said("mask=:int=0..1");
    let found = pair([graph(false), graph(true)], &mask);
    assert!(found.holds, "{:#?}", found.rows);
    assert!(!pair([graph(false), graph(true)], &said("mask=:int=0..2")).holds);
}

/// A bound that whole numbers fall on: float64 has `0.1 * 5` above a half, and float32 has not. No share of the values that large is left
/// to rounding.
#[test]
fn decisions_on_a_bound_are_not_said_to_hold() {
    let graph = |op: &str| Graph {
        inputs: vec![info("n", DType::I64, "B,T")],
        outputs: vec![floats("y", "B,T")],
        nodes: vec![
            node("Cast", &["n"], &["f"], &[("to", Attr::Int(1))]),
            node("Mul", &["f", "tenth"], &["part"], &[]),
            node(op, &["part", "half"], &["above"], &[]),
            node("Cast", &["above"], &["y"], &[("to", Attr::Int(1))]),
        ],
        initializers: vec![
            Constant::f32("tenth", vec![], &[0.1]),
            Constant::f32("half", vec![], &[0.5]),
        ],
        ..Graph::default()
    };
    let range = said("n=:int=0..19");
    assert!(pair([graph("Greater"), graph("Greater")], &range).holds);
    let found = pair([graph("Greater"), graph("GreaterOrEqual")], &range);
    assert!(!found.holds, "{:#?}", found.rows);
    let report = Report::new(vec![found]);
    let failed = report.pairs[0].rows.iter().any(|r| !r.holds);
    assert!(failed || report.is_open() && report.has_gaps());
}

/// Files that part at rows of no steps alone: the option that leaves them out is offered, and does.
#[test]
fn rows_of_no_steps_are_left_out_as_was_said() {
    let graph = |least: f32| Graph {
        inputs: vec![floats("x", "B,T,2"), info("lengths", DType::I64, "B")],
        outputs: vec![floats("y", "B"), floats("z", "B,T,2")],
        nodes: vec![
            node("Cast", &["lengths"], &["f"], &[("to", Attr::Int(1))]),
            node("Max", &["f", "least"], &["n"], &[]),
            node("Div", &["one", "n"], &["y"], &[]),
            node("Identity", &["x"], &["z"], &[]),
        ],
        initializers: vec![
            Constant::f32("least", vec![], &[least]),
            Constant::f32("one", vec![], &[1.0]),
        ],
        ..Graph::default()
    };
    let found = pair([graph(0.25), graph(0.5)], &request());
    assert!(!found.holds);
    noted(&found, "--input lengths=:int=1..3 says that there are none");
    assert!(pair([graph(0.25), graph(0.5)], &said("lengths=:int=1..3")).holds);
    // Rows of one step are drawn all the same.
    assert!(!pair([graph(0.25), graph(1.5)], &said("lengths=:int=1..3")).holds);
}
