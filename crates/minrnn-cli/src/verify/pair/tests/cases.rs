//! Kinds of files on which a verdict of an engine was a wrong one.

use std::path::PathBuf;

use minrnn_onnx::ir::{Attr, DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, info, node, recurrent, request, same, word, words};
use super::*;
use crate::verify::contender::{Choice, Programs, Roster};

/// Files that differ in one attribute differ, whatever an engine makes of it.
#[test]
fn every_attribute_of_a_recurrent_operator_counts() {
    let all: [(&str, (&str, Attr)); 8] = [
        ("GRU", ("direction", word("reverse"))),
        ("GRU", ("activations", words(&["Sigmoid", "Relu"]))),
        ("GRU", ("clip", Attr::Float(0.5))),
        ("GRU", ("linear_before_reset", Attr::Int(1))),
        ("LSTM", ("input_forget", Attr::Int(1))),
        ("LSTM", ("clip", Attr::Float(0.5))),
        ("RNN", ("activations", words(&["Softsign"]))),
        ("RNN", ("direction", word("reverse"))),
    ];
    let folder = Folder::new();
    for (op, attribute) in all {
        let plain = folder.write("plain.onnx", recurrent(op, &[]));
        let other = folder.write(
            "other.onnx",
            recurrent(op, std::slice::from_ref(&attribute)),
        );
        let pair = same(&plain, &other, &request());
        assert!(!pair.holds, "{op} {attribute:?}");
        let pair = same(&other, &other, &request());
        assert!(pair.holds, "{op} {attribute:?}: {:?}", pair.rows);
    }
}

/// `reverse` is the operator on the sequence backwards, written out.
fn backwards() -> Graph {
    let mut graph = recurrent("GRU", &[]);
    let one = |name: &str, n: i64| Constant::i64(name, vec![1], &[n]);
    graph.initializers.extend([
        one("last", -1),
        one("first", i32::MIN.into()),
        one("axis", 0),
        one("back", -1),
    ]);
    let flip = |from: &str, to: &str| {
        node(
            "Slice",
            &[from, "last", "first", "axis", "back"],
            &[to],
            &[],
        )
    };
    graph.nodes[0].inputs[0] = "turned".into();
    graph.nodes[0].outputs[0] = "made".into();
    graph.nodes.insert(0, flip("x", "turned"));
    graph.nodes.push(flip("made", "Y"));
    graph
}

/// The files agree; tract, which leaves `direction` out, is wrong. That is the engine's row, and counts only if asked for.
#[test]
fn a_wrong_engine_is_a_wrong_engine() {
    let folder = Folder::new();
    let reverse = folder.write(
        "reverse.onnx",
        recurrent("GRU", &[("direction", word("reverse"))]),
    );
    let written = folder.write("written.onnx", backwards());
    let pair = same(&reverse, &written, &request());
    assert!(pair.holds, "{:?}", pair.rows);
    let of = |check: &str| {
        let rows = pair
            .rows
            .iter()
            .filter(|r| r.by == "tract" && r.check == check);
        rows.map(|r| (r.holds, r.decides)).collect::<Vec<_>>()
    };
    assert_eq!(of("first file"), [(false, false); 2], "{:?}", pair.notes);
    let second = of("second file");
    assert!(
        second.iter().all(|r| *r == (true, false)),
        "{:?}",
        pair.notes
    );
    let notes = pair.notes.join("\n");
    assert!(
        notes.contains("tract computes") && notes.contains("node `Y_node` (GRU)"),
        "{notes}"
    );
    let text = Report::new(vec![pair]).text(false);
    assert!(
        text.contains("Everything holds.")
            && text.contains("An engine is wrong, not the files: tract"),
        "{text}"
    );
    let tract = Roster::open(&[Choice::Named("tract")], &Programs::default()).unwrap();
    let asked = Request {
        engines: tract,
        ..request()
    };
    assert!(!same(&reverse, &written, &asked).holds);
    assert!(same(&written, &written, &asked).holds);
    let text = Report::new(vec![same(&reverse, &written, &asked)]).text(false);
    assert!(
        text.contains("THE FILES HOLD. AN ENGINE DOES NOT."),
        "{text}"
    );
}

fn shifted(dtype: DType, by: i64) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![info("ids", dtype, "B,T,3")],
        nodes: vec![
            node("Cast", &["x"], &["whole"], &[("to", Attr::Int(7))]),
            node("Add", &["whole", "k"], &["sum"], &[]),
            node(
                "Cast",
                &["sum"],
                &["ids"],
                &[("to", Attr::Int(dtype.code().into()))],
            ),
        ],
        initializers: vec![Constant::i64("k", vec![], &[by])],
        ..Graph::default()
    }
}

/// Integers that differ by one differ: at a million, beyond what f64 holds, and whatever the tolerance.
#[test]
fn integers_are_compared_exactly() {
    let folder = Folder::new();
    for (by, next) in [(1_000_000, 1_000_001), (1 << 60, (1 << 60) + 1)] {
        let a = folder.write("a.onnx", shifted(DType::I64, by));
        let b = folder.write("b.onnx", shifted(DType::I64, next));
        let loose = Request {
            tolerance: Some(5.0),
            ..request()
        };
        let pair = same(&a, &b, &loose);
        assert!(
            !pair.holds && pair.rows[0].max_abs == 1.0,
            "{:?}",
            pair.rows
        );
        assert!(same(&a, &a, &request()).holds);
    }
    // As floats they are the same within the tolerance.
    let a = folder.write("a.onnx", shifted(DType::F32, 1_000_000));
    let b = folder.write("b.onnx", shifted(DType::F32, 1_000_001));
    let loose = Request {
        tolerance: Some(5.0),
        ..request()
    };
    assert!(same(&a, &b, &loose).holds);
}

/// A tensor of no values has the right ones, as an input too.
#[test]
fn tensors_without_values_hold() {
    let folder = Folder::new();
    let tanh = || node("Tanh", &["x"], &["y"], &[]);
    let made = Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3"), floats("cache_next", "B,0,3")],
        nodes: vec![
            tanh(),
            node("Slice", &["x", "zero", "zero", "one"], &["cache_next"], &[]),
        ],
        initializers: vec![
            Constant::i64("zero", vec![1], &[0]),
            Constant::i64("one", vec![1], &[1]),
        ],
        ..Graph::default()
    };
    let given = Graph {
        inputs: vec![floats("x", "B,T,3"), floats("cache", "B,0,3")],
        nodes: vec![tanh(), node("Identity", &["cache"], &["cache_next"], &[])],
        initializers: vec![],
        ..made.clone()
    };
    for graph in [made, given] {
        let path = folder.write("a.onnx", graph);
        let pair = same(&path, &path, &request());
        assert!(pair.holds, "{:?}", pair.rows);
        let none = pair.rows.iter().find(|r| r.tensor == "cache_next").unwrap();
        assert_eq!((none.values, none.holds), (0, true));
    }
}

/// Names of nodes say nothing: twice the same, that of an input, that of a value.
#[test]
fn names_of_nodes_are_free() {
    let folder = Folder::new();
    for names in [["n", "n"], ["x", "m"], ["y", "a"], ["", ""]] {
        let mut graph = Graph {
            inputs: vec![floats("x", "B,T,3")],
            outputs: vec![floats("y", "B,T,3")],
            nodes: vec![
                node("Tanh", &["x"], &["a"], &[]),
                node("Mul", &["a", "x"], &["y"], &[]),
            ],
            ..Graph::default()
        };
        for (n, name) in graph.nodes.iter_mut().zip(names) {
            n.name = name.into();
        }
        let path = folder.write("a.onnx", graph);
        assert!(same(&path, &path, &request()).holds, "{names:?}");
    }
}

/// `s + x` over an axis of `x [B, T, 3]` by Scan.
fn summed(axis: i64, out: i64) -> Graph {
    let body = Graph {
        name: "body".into(),
        inputs: vec![floats("s", "B,3"), floats("one", "B,3")],
        outputs: vec![floats("t", "B,3"), floats("row", "B,3")],
        nodes: vec![
            node("Add", &["s", "one"], &["t"], &[]),
            node("Identity", &["t"], &["row"], &[]),
        ],
        ..Graph::default()
    };
    let attributes = [
        ("body", Attr::Graph(Box::new(body))),
        ("num_scan_inputs", Attr::Int(1)),
        ("scan_input_axes", Attr::Ints(vec![axis])),
        ("scan_output_axes", Attr::Ints(vec![out])),
    ];
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node(
                "ReduceSum",
                &["x", "axis"],
                &["sum"],
                &[("keepdims", Attr::Int(0))],
            ),
            node("Sub", &["sum", "sum"], &["zero"], &[]),
            node("Scan", &["zero", "x"], &["last", "y"], &attributes),
        ],
        initializers: vec![Constant::i64("axis", vec![1], &[1])],
        ..Graph::default()
    }
}

#[test]
fn axes_that_count_from_the_end_are_those_that_count_from_the_begin() {
    let folder = Folder::new();
    let a = folder.write("a.onnx", summed(1, 1));
    let b = folder.write("b.onnx", summed(-2, -2));
    let pair = same(&a, &b, &request());
    assert!(pair.holds, "{:?}", pair.rows);
    let axis = Constant::i64("axis", vec![], &[1]);
    let sum = Graph {
        nodes: vec![node(
            "CumSum",
            &["x", "axis"],
            &["y"],
            &[("exclusive", Attr::Int(1))],
        )],
        initializers: vec![axis],
        ..summed(1, 1)
    };
    let c = folder.write("c.onnx", sum);
    assert!(!same(&a, &c, &request()).holds);
}

/// Widths of a pad that follow from constants, as an older exporter writes them.
#[test]
fn computed_widths_of_a_pad_are_read() {
    let folder = Folder::new();
    let graph = |before: i64| Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node(
                "ConstantOfShape",
                &["four"],
                &["zeros"],
                &[("value", Attr::Tensor(Constant::i64("", vec![1], &[0])))],
            ),
            node(
                "Concat",
                &["ends", "zeros"],
                &["widths"],
                &[("axis", Attr::Int(0))],
            ),
            node("Pad", &["x", "widths"], &["padded"], &[]),
            node("Slice", &["padded", "from", "to", "one"], &["y"], &[]),
        ],
        initializers: vec![
            Constant::i64("four", vec![1], &[4]),
            Constant::i64("ends", vec![2], &[0, before]),
            Constant::i64("from", vec![1], &[0]),
            Constant::i64("to", vec![1], &[-before]),
            Constant::i64("one", vec![1], &[1]),
        ],
        ..Graph::default()
    };
    let [one, two] = [1, 2].map(|n| folder.write(&format!("{n}.onnx"), graph(n)));
    assert!(same(&one, &one, &request()).holds);
    assert!(!same(&one, &two, &request()).holds);
}

/// A step file whose state is held in float64 between steps is the sequence file, to the last digit.
#[test]
fn what_only_one_reading_shows_is_told_apart() {
    let folder = Folder::new();
    // (x + 1e6) - 1e6: nothing in float64, most digits in f32.
    let graph = |losing: bool| {
        let nodes = match losing {
            true => vec![
                node("Add", &["x", "big"], &["far"], &[]),
                node("Sub", &["far", "big"], &["y"], &[]),
            ],
            false => vec![node("Identity", &["x"], &["y"], &[])],
        };
        Graph {
            inputs: vec![floats("x", "B,T,3")],
            outputs: vec![floats("y", "B,T,3")],
            nodes,
            initializers: vec![Constant::f32("big", vec![], &[1e6])],
            ..Graph::default()
        }
    };
    let bad = folder.write("bad.onnx", graph(true));
    let good = folder.write("good.onnx", graph(false));
    let searched = Request {
        bisect: true,
        ..request()
    };
    let pair = same(&bad, &good, &searched);
    assert!(!pair.holds);
    let of = |check: &str| pair.rows.iter().find(|r| r.check == check).unwrap().holds;
    assert!(of("whole") && !of("whole, rounded at each operation"));
    assert!(pair.notes.iter().any(|n| n.contains("loses its digits")));
    let culprit = pair.bisect.unwrap();
    assert_eq!(
        (culprit.kind, culprit.operator.as_str()),
        ("rounding", "Sub")
    );
}

/// Files of numbered names: `v1` and `v2` are swapped, so each differs from its namesake; the one weight that differs is
/// found all the same, and where no value has a counterpart no node is accused.
#[test]
fn no_node_is_accused_for_want_of_a_counterpart() {
    let folder = Folder::new();
    let graph = |names: [&str; 2], factors: [f32; 3]| Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Mul", &["x", "a"], &[names[0]], &[]),
            node("Mul", &["x", "b"], &[names[1]], &[]),
            node("Sub", &[names[0], names[1]], &["d"], &[]),
            node("Mul", &["d", "c"], &["y"], &[]),
        ],
        initializers: ["a", "b", "c"]
            .iter()
            .zip(factors)
            .map(|(n, f)| Constant::f32(*n, vec![], &[f]))
            .collect(),
        ..Graph::default()
    };
    let searched = Request {
        bisect: true,
        ..request()
    };
    let a = folder.write("a.onnx", graph(["v1", "v2"], [2.0, 3.0, 4.0]));
    let b = folder.write("b.onnx", graph(["v2", "v1"], [2.0, 3.0, 5.0]));
    let found = same(&a, &b, &searched).bisect.unwrap();
    assert_eq!(
        (found.node.as_str(), found.certain),
        ("y_node", true),
        "{found:?}"
    );
    let b = folder.write("b.onnx", graph(["v2", "v1"], [2.0, 3.0, 4.0]));
    let pair = same(&a, &b, &searched);
    assert!(pair.holds && pair.bisect.is_none(), "{:?}", pair.bisect);
    // No name in common but that of the output: it may be any of the four.
    let mut other = graph(["p", "q"], [2.0, 3.5, 4.0]);
    other.nodes[2].outputs[0] = "r".into();
    other.nodes[3].inputs[0] = "r".into();
    let b = folder.write("b.onnx", other);
    let found = same(&a, &b, &searched).bisect.unwrap();
    assert!(!found.certain && found.suspects.len() == 4, "{found:?}");
    assert!(found.text().contains("cannot be said"), "{}", found.text());
}

/// Rows of unequal length: an input of lengths against the same operator without one, row by row.
#[test]
fn rows_of_unequal_length_end_where_they_end() {
    let folder = Folder::new();
    let with = |direction: &str, op: &str| {
        let mut graph = recurrent(op, &[("direction", word(direction))]);
        graph.inputs.push(info("row_steps", DType::I32, "B"));
        graph.nodes[0].inputs.push("row_steps".into());
        graph
    };
    let without = |direction: &str, op: &str| recurrent(op, &[("direction", word(direction))]);
    for (op, direction) in [("LSTM", "forward"), ("GRU", "reverse")] {
        let a = folder.write("lens.onnx", with(direction, op));
        let b = folder.write("plain.onnx", without(direction, op));
        for (first, second) in [(&a, &b), (&b, &a), (&a, &a)] {
            let pair = same(first, second, &request());
            assert!(pair.holds, "{op} {direction}: {:?}", pair.rows);
            assert!(pair.notes.iter().any(|n| n.contains("unequal length")));
        }
        let mut filled = request();
        filled.values.insert("row_steps".into(), Fill::Time);
        assert!(same(&a, &b, &filled).holds);
    }
    // Lengths that a file takes and does not use.
    let mut graph = without("reverse", "GRU");
    graph.inputs.push(info("row_steps", DType::I32, "B"));
    graph.nodes.push(node(
        "Cast",
        &["row_steps"],
        &["unused"],
        &[("to", Attr::Int(7))],
    ));
    let unused = folder.write("unused.onnx", graph);
    let lens = folder.write("lens.onnx", with("reverse", "GRU"));
    let named = Request {
        values: [("row_steps".to_owned(), Fill::Lengths)].into(),
        ..request()
    };
    let pair = same(&lens, &unused, &named);
    assert!(!pair.holds, "{:?}", pair.rows);
}

/// The cases that are kept beside the project, where a folder with them is given.
#[test]
fn kept_cases_are_right() {
    let Some(folder) = std::env::var_os("MINRNN_TEST_CASES").map(PathBuf::from) else {
        return;
    };
    let equal = [
        "GRU_rev_vs_written",
        "GRU_bi_vs_written",
        "scan_negaxes_vs_transpose",
    ];
    let request = Request {
        longest: Some(16),
        ..Request::default()
    };
    let mut pairs = vec![];
    for kind in ["rnn_attributes", "operators", "integers"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some(stem) = name.strip_suffix("a.onnx") {
                let twin = path.with_file_name(format!("{stem}b.onnx"));
                let holds = equal.contains(&stem.trim_end_matches('_'));
                pairs.push((path, twin, holds));
            }
        }
    }
    for kind in ["names", "no_values", "pad_constant"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("step.onnx") {
                pairs.push((path.clone(), path, true));
            }
        }
    }
    assert!(pairs.len() > 20);
    for (a, b, holds) in pairs {
        assert_eq!(same(&a, &b, &request).holds, holds, "{}", a.display());
    }
}

#[test]
fn texts_are_refused_as_texts() {
    let mut b = Builder::new("texts");
    let dims = vec![Dim::symbol("batch"), Dim::symbol("time")];
    let x = b.input("x", DType::Str, dims.clone());
    let y = b.node("Identity", &[x], vec![]);
    b.output("y", y, DType::Str, dims);
    let graph = b.finish().unwrap();
    let both = [graph.clone(), graph];
    let refused = Folder::new().pair(Kind::Same, both, &Request::default());
    let text = format!("{:#}", refused.unwrap_err());
    assert!(text.contains("input `x` takes texts"), "{text}");
}
