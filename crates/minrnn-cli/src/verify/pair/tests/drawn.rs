//! What is drawn, and what is refused before it is drawn.

use minrnn_onnx::ir::{DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, info, node, recurrent, request, same};
use super::*;

/// `GRU` over rows of unequal length; `least`: rows have one step at least.
fn with_lengths(least: bool) -> Graph {
    let mut graph = recurrent("GRU", &[]);
    graph.inputs.push(info("lens", DType::I32, "B"));
    let one = Constant::bytes("one", DType::I32, vec![], 1i32.to_le_bytes().to_vec());
    graph.initializers.push(one);
    let lens = match least {
        true => "at_least",
        false => "lens",
    };
    graph.nodes[0].inputs.extend([lens.to_owned()]);
    if least {
        let max = node("Max", &["lens", "one"], &["at_least"], &[]);
        graph.nodes.insert(0, max);
    }
    graph
}

/// A row of no steps keeps the initial state.
#[test]
fn rows_of_length_0_are_drawn() {
    let folder = Folder::new();
    let right = folder.write("right.onnx", with_lengths(false));
    let least = folder.write("least.onnx", with_lengths(true));
    let pair = same(&right, &right, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    let pair = same(&right, &least, &request());
    assert!(!pair.holds, "{:#?}", pair.rows);
    let worst = pair.rows.iter().find_map(|r| r.worst.as_ref()).unwrap();
    let empty = ["[0,", " 0,", " 0]"].iter().any(|w| worst.case.contains(w));
    assert!(empty, "{worst:?}");
    // Row by row, there is no row to run.
    let without = folder.write("without.onnx", recurrent("GRU", &[]));
    let pair = same(&least, &without, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    let notes = pair.notes.join("\n");
    assert!(notes.contains("no row of length 0 was tried"), "{notes}");
}

/// Every row gets to be the longest one, and the one of no steps.
#[test]
fn no_row_is_always_the_longest() {
    let folder = Folder::new();
    let path = folder.write("a.onnx", with_lengths(false));
    let two = Two::open(&path, &path, Kind::Same, &request()).unwrap();
    let mut rng = Rng::named(5, "rows");
    for batch in [2, 3, 5] {
        let mut seen = vec![[false; 2]; batch];
        for _ in 0..60 {
            let case = Case::random(&two, (batch, 9), &mut rng).unwrap();
            let lengths = case.lengths.unwrap();
            assert_eq!(lengths.iter().max(), Some(&9));
            for (seen, n) in seen.iter_mut().zip(lengths) {
                seen[0] |= n == 9;
                seen[1] |= n < 9 && (n == 0 || batch < 3);
            }
        }
        assert!(seen.iter().flatten().all(|s| *s), "{batch}: {seen:?}");
    }
}

/// A mean over a row of no steps is no number, in either file: that is left out with a note.
#[test]
fn rows_of_length_0_are_left_out_where_no_file_has_a_value_for_them() {
    let graph = || Graph {
        inputs: vec![floats("x", "B,T,3"), info("lens", DType::I64, "B")],
        outputs: vec![floats("y", "B,3")],
        nodes: vec![
            node(
                "Cast",
                &["lens"],
                &["n"],
                &[("to", minrnn_onnx::ir::Attr::Int(1))],
            ),
            node("Unsqueeze", &["n", "one"], &["steps"], &[]),
            node("Sub", &["steps", "steps"], &["zero"], &[]),
            node("Div", &["zero", "steps"], &["part"], &[]),
            node(
                "ReduceMax",
                &["x"],
                &["most"],
                &[
                    ("axes", minrnn_onnx::ir::Attr::Ints(vec![1])),
                    ("keepdims", minrnn_onnx::ir::Attr::Int(0)),
                ],
            ),
            node("Add", &["part", "most"], &["y"], &[]),
        ],
        initializers: vec![Constant::i64("one", vec![1], &[1])],
        ..Graph::default()
    };
    let path = Folder::new();
    let path = (path.write("a.onnx", graph()), path);
    let pair = same(&path.0, &path.0, &request());
    assert!(pair.holds, "{:#?} {:?}", pair.rows, pair.notes);
    let notes = pair.notes.join("\n");
    assert!(notes.contains("gives no numbers for it"), "{notes}");
}

/// No half of an integer, and nothing that is no number.
#[test]
fn states_begin_with_values_that_their_type_has() {
    let folder = Folder::new();
    for (dtype, name, begin, right) in [
        (DType::I64, "int64", "0.5", false),
        (DType::I64, "int64", "3", true),
        (DType::Bool, "bool", "2", false),
        (DType::Bool, "bool", "1", true),
        (DType::F32, "float32", "nan", false),
        (DType::F32, "float32", "0.5", true),
        (DType::F32, "float32", "-inf", true),
        (DType::I64, "int64", "inf", false),
    ] {
        let graph = Graph {
            inputs: vec![floats("x", "B,T,2"), info("s", dtype, "B,1")],
            outputs: vec![floats("y", "B,T,2"), info("next_s", dtype, "B,1")],
            nodes: vec![
                node("Tanh", &["x"], &["y"], &[]),
                node("Identity", &["s"], &["next_s"], &[]),
            ],
            ..Graph::default()
        };
        let path = folder.write("kept.onnx", graph);
        let request = Request {
            states: vec![format!("s=next_s:init={begin}").parse().unwrap()],
            ..request()
        };
        let done = compare(&path, &path, Kind::Same, &request, &mut |_, _, _| ());
        match done {
            Ok(pair) => assert!(right && pair.holds, "{name} {begin}: {:?}", pair.rows),
            Err(error) => {
                let error = format!("{error:#}");
                let wanted = format!(
                    "cannot begin with {}, it is of type",
                    begin.replace("nan", "NaN")
                );
                assert!(!right && error.contains(&wanted), "{name} {begin}: {error}");
            }
        }
    }
}

/// The memory of inputs is asked for before they are drawn.
#[test]
fn inputs_beyond_all_memory_are_refused_with_the_numbers() {
    let folder = Folder::new();
    for (dims, count) in [
        ("B,T,100000000000", "3.0e11 values"),
        ("1,50000000,1", " values"),
        ("4000000000,T,4000000000", " values"),
    ] {
        let graph = Graph {
            inputs: vec![floats("x", dims)],
            outputs: vec![floats("y", dims)],
            nodes: vec![node("Tanh", &["x"], &["y"], &[])],
            ..Graph::default()
        };
        let path = folder.write("huge.onnx", graph);
        let error = compare(&path, &path, Kind::Same, &request(), &mut |_, _, _| ());
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.contains(count) && error.contains("3.0e9 is the most") && error.contains("`x`"),
            "{error}"
        );
    }
}

/// Outputs that are the last ones left are a pair, which the report names.
#[test]
fn pairs_of_other_names_are_named() {
    let folder = Folder::new();
    let graph = |name: &str| Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats(name, "B,T,3")],
        nodes: vec![node("Tanh", &["x"], &[name], &[])],
        ..Graph::default()
    };
    let a = folder.write("a.onnx", graph("hn"));
    let b = folder.write("b.onnx", graph("cn"));
    let named = |request: &Request| {
        let notes = same(&a, &b, request).notes.join("\n");
        notes.contains("output `hn` of") && notes.contains("was taken for `cn` of")
    };
    assert!(named(&request()));
    let said = Request {
        names: vec![("hn".into(), "cn".into())],
        ..request()
    };
    assert!(!named(&said));
}
