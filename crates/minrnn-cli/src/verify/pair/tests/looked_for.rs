//! Values that files look for, and tables of which every row counts: false pairs that normal numbers, or a few integers, do not tell apart.

use minrnn_onnx::ir::{Attr, DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, info, node, noted, request, same};
use super::*;

/// How a file asks whether a step is masked.
#[derive(Clone, Copy, Debug)]
enum Asks {
    /// `mask == 0`.
    Zero,
    /// `mask == -10000`, behind an axis more.
    Low,
    /// The mask as a boolean.
    Boolean,
    /// All features of the step are 0.
    Frames,
    /// `mask * 1024 == 3000`, in integers.
    Scaled,
    /// `mask == 7` within the body of a Scan.
    Body,
}

/// `y = masked ? value : x`.
fn masked(asks: Asks, value: f32) -> Graph {
    let axes = |n: i64| ("axes", Attr::Ints(vec![n]));
    let mut nodes = match asks {
        Asks::Zero => vec![node("Equal", &["mask", "zero"], &["is"], &[])],
        Asks::Low => vec![
            node("Unsqueeze", &["mask", "last"], &["more"], &[]),
            node("Equal", &["more", "low"], &["wide"], &[]),
            node("Squeeze", &["wide", "last"], &["is"], &[]),
        ],
        Asks::Boolean => vec![
            node("Cast", &["mask"], &["some"], &[("to", Attr::Int(9))]),
            node("Not", &["some"], &["is"], &[]),
        ],
        Asks::Frames => vec![
            node("Abs", &["x"], &["size"], &[]),
            node("ReduceMax", &["size"], &["most"], &[axes(2)]),
            node("Greater", &["most", "zero"], &["some"], &[]),
            node("Not", &["some"], &["each"], &[]),
            node("Squeeze", &["each", "last"], &["is"], &[]),
        ],
        Asks::Scaled => vec![
            node("Mul", &["mask", "many"], &["larger"], &[]),
            node("Cast", &["larger"], &["whole"], &[("to", Attr::Int(6))]),
            node("Cast", &["whole"], &["long"], &[("to", Attr::Int(7))]),
            node("Equal", &["long", "wanted"], &["is"], &[]),
        ],
        Asks::Body => {
            let body = Graph {
                name: "body".into(),
                inputs: vec![floats("m", "B")],
                outputs: vec![info("hit", DType::Bool, "B")],
                nodes: vec![node("Equal", &["m", "seven"], &["hit"], &[])],
                ..Graph::default()
            };
            let over = [
                ("body", Attr::Graph(Box::new(body))),
                ("num_scan_inputs", Attr::Int(1)),
                ("scan_input_axes", Attr::Ints(vec![1])),
                ("scan_output_axes", Attr::Ints(vec![1])),
            ];
            vec![node("Scan", &["mask"], &["is"], &over)]
        }
    };
    nodes.extend([
        node("Unsqueeze", &["is", "last"], &["where"], &[]),
        node("Where", &["where", "value", "x"], &["y"], &[]),
    ]);
    let one = |name: &str, v: f32| Constant::f32(name, vec![], &[v]);
    let mut inputs = vec![floats("x", "B,T,3")];
    if !matches!(asks, Asks::Frames) {
        inputs.push(floats("mask", "B,T"));
    }
    Graph {
        inputs,
        outputs: vec![floats("y", "B,T,3")],
        nodes,
        initializers: vec![
            one("zero", 0.0),
            one("low", -1e4),
            one("many", 1024.0),
            one("seven", 7.0),
            Constant::i64("wanted", vec![], &[3000]),
            one("value", value),
            Constant::i64("last", vec![1], &[2]),
        ],
        ..Graph::default()
    }
}

#[test]
fn files_are_given_what_they_look_for() {
    for asks in [
        Asks::Zero,
        Asks::Low,
        Asks::Boolean,
        Asks::Frames,
        Asks::Scaled,
        Asks::Body,
    ] {
        let pair = |value| {
            let graphs = [masked(asks, 5.0), masked(asks, value)];
            Folder::new().pair(Kind::Same, graphs, &request()).unwrap()
        };
        assert!(pair(5.0).holds, "{asks:?}");
        let wrong = pair(7.0);
        assert!(!wrong.holds, "{asks:?}");
        let worst = wrong.rows.iter().find_map(|r| r.worst.as_ref()).unwrap();
        let drawn = ["that the files look for", "with frames of zeros"];
        assert!(
            drawn.iter().any(|w| worst.case.contains(w)),
            "{asks:?}: {}",
            worst.case
        );
    }
}

/// `y = x + 1` where the operator says so of `x` and the bound, else `x`.
fn bounded(op: &str) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Mul", &["x", "half"], &["less"], &[]),
            node(op, &["less", "bound"], &["is"], &[]),
            node("Add", &["x", "one"], &["more"], &[]),
            node("Where", &["is", "more", "x"], &["y"], &[]),
        ],
        initializers: vec![
            Constant::f32("half", vec![], &[0.5]),
            Constant::f32("bound", vec![], &[5.0]),
            Constant::f32("one", vec![], &[1.0]),
        ],
        ..Graph::default()
    }
}

#[test]
fn values_lie_at_a_bound_and_on_both_sides() {
    let pair = |a, b| {
        let graphs = [bounded(a), bounded(b)];
        Folder::new().pair(Kind::Same, graphs, &request()).unwrap()
    };
    assert!(!pair("Greater", "GreaterOrEqual").holds);
    assert!(!pair("Less", "LessOrEqual").holds);
    assert!(pair("Less", "Less").holds);
}

/// What stands where `x` is no number, and where it is infinite.
fn cleared(op: &str, value: f32) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node(op, &["x"], &["is"], &[]),
            node("Where", &["is", "value", "x"], &["y"], &[]),
        ],
        initializers: vec![Constant::f32("value", vec![], &[value])],
        ..Graph::default()
    }
}

#[test]
fn files_that_ask_for_no_numbers_are_given_some() {
    for op in ["IsNaN", "IsInf"] {
        let pair = |a, b| {
            let graphs = [cleared(op, a), cleared(op, b)];
            Folder::new().pair(Kind::Same, graphs, &request()).unwrap()
        };
        assert!(!pair(0.0, 0.5).holds, "{op}");
        let right = pair(0.5, 0.5);
        assert!(right.holds, "{op}: {:#?}", right.rows);
    }
}

/// A row that is wholly masked has no number: of a mask that files look for the first step is left.
#[test]
fn no_row_is_wholly_masked() {
    let mut graph = masked(Asks::Zero, f32::NEG_INFINITY);
    let last = graph.nodes.last_mut().unwrap();
    last.outputs[0] = "scores".into();
    let softmax = node("Softmax", &["scores"], &["y"], &[("axis", Attr::Int(1))]);
    graph.nodes.push(softmax);
    let folder = Folder::new();
    let path = folder.write("a.onnx", graph);
    let pair = same(&path, &path, &request());
    assert!(pair.holds, "{:#?}\n{:?}", pair.rows, pair.notes);
}

/// `y = table[ids]`, of so many rows, of which one is another.
fn embedded(rows: usize, other: Option<usize>) -> Graph {
    let mut table: Vec<f32> = (0..2 * rows).map(|i| (i as f32 * 0.37).sin()).collect();
    if let Some(row) = other {
        table[2 * row] += 0.05;
    }
    Graph {
        inputs: vec![info("ids", DType::I64, "B,T")],
        outputs: vec![floats("y", "B,T,2")],
        nodes: vec![node("Gather", &["table", "ids"], &["y"], &[])],
        initializers: vec![Constant::f32("table", vec![rows as i64, 2], &table)],
        ..Graph::default()
    }
}

#[test]
fn every_row_of_a_table_is_read() {
    let longest = Request {
        longest: Some(33),
        ..Request::default()
    };
    for row in [0, 1234, 2999] {
        let graphs = [embedded(3000, None), embedded(3000, Some(row))];
        let pair = Folder::new().pair(Kind::Same, graphs, &longest).unwrap();
        assert!(!pair.holds, "{row}");
    }
    let graphs = [embedded(3000, None), embedded(3000, None)];
    let pair = Folder::new().pair(Kind::Same, graphs, &longest).unwrap();
    assert!(pair.holds && !pair.notes.iter().any(|n| n.contains("were tried")));
}

/// What cannot all be tried is told.
#[test]
fn integers_that_were_not_tried_are_told() {
    let graph = Graph {
        inputs: vec![info("ids", DType::I64, "B,T")],
        outputs: vec![floats("y", "B,T")],
        nodes: vec![node("Cast", &["ids"], &["y"], &[("to", Attr::Int(1))])],
        ..Graph::default()
    };
    let mut request = request();
    request
        .inputs
        .extend([input_spec("ids=:int=0..1000000").unwrap()]);
    let folder = Folder::new();
    let path = folder.write("a.onnx", graph);
    let pair = same(&path, &path, &request);
    assert!(pair.holds);
    noted(&pair, "of the 1000001 integers that `ids` takes, ");
}

/// The values of outputs are compared whatever their types, and the report says where these are others.
#[test]
fn outputs_of_other_types_are_told() {
    let graph = |to: i64, dtype: DType| Graph {
        inputs: vec![floats("x", "B,T,2")],
        outputs: vec![info("y", dtype, "B,T,2")],
        nodes: vec![
            node("Tanh", &["x"], &["z"], &[]),
            node("Cast", &["z"], &["y"], &[("to", Attr::Int(to))]),
        ],
        ..Graph::default()
    };
    let folder = Folder::new();
    let long = folder.write("long.onnx", graph(1, DType::F32));
    let short = folder.write("short.onnx", graph(10, DType::F16));
    let pair = same(&long, &short, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    noted(&pair, "output `y` is of type ");
    let pair = same(&long, &long, &request());
    assert!(!pair.notes.iter().any(|n| n.contains("is of type")));
}
