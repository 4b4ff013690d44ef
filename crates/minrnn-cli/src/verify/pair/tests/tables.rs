//! Tables: integers past the smaller one, integers that are brought within, more rows than can be tried, narrow types.

use minrnn_onnx::ir::{DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, info, node, noted, request};
use super::*;

/// `y = table[ids]` of so many rows; `last`: ids are clipped to that before. `work`: products behind it, so that runs are dear.
fn embedded(rows: usize, last: Option<i64>, other: Option<usize>, work: usize) -> Graph {
    let mut table: Vec<f32> = (0..2 * rows).map(|i| (i as f32 * 0.37).sin()).collect();
    if let Some(row) = other {
        table[2 * row] += 0.05;
    }
    let mut nodes = vec![];
    let mut ids = "ids";
    if last.is_some() {
        nodes.push(node("Clip", &["ids", "first", "last"], &["within"], &[]));
        ids = "within";
    }
    nodes.push(node("Gather", &["table", ids], &["e0"], &[]));
    nodes.push(node("MatMul", &["e0", "wide"], &["w0"], &[]));
    let mut now = "w0".to_owned();
    for k in 0..work {
        let next = format!("w{}", k + 1);
        nodes.push(node("MatMul", &[&now, "square"], &[&next], &[]));
        now = next;
    }
    nodes.push(node("Identity", &[&now], &["y"], &[]));
    let wide: Vec<f32> = (0..2 * 64).map(|i| (i as f32 * 0.7).cos()).collect();
    let square: Vec<f32> = (0..64 * 64).map(|i| (i as f32 * 0.3).sin() * 0.2).collect();
    Graph {
        inputs: vec![info("ids", DType::I64, "B,T")],
        outputs: vec![floats("y", "B,T,64")],
        nodes,
        initializers: vec![
            Constant::f32("table", vec![rows as i64, 2], &table),
            Constant::f32("wide", vec![2, 64], &wide),
            Constant::f32("square", vec![64, 64], &square),
            Constant::i64("first", vec![], &[0]),
            Constant::i64("last", vec![], &[last.unwrap_or(0)]),
        ],
        ..Graph::default()
    }
}

fn pair(graphs: [Graph; 2], request: &Request) -> Pair {
    Folder::new().pair(Kind::Same, graphs, request).unwrap()
}

#[test]
fn integers_past_the_smaller_table_are_told_of() {
    let graphs = || [embedded(90, None, None, 0), embedded(100, None, None, 0)];
    let told = pair(graphs(), &request());
    assert!(told.holds, "{:#?}", told.rows);
    noted(&told, "takes 90 to 99");
    let row = told.rows.iter().find(|r| r.check.contains("past")).unwrap();
    assert!(row.is_untold(), "{row:?}");
    // What the option says that is meant.
    let mut said = request();
    said.inputs.extend([input_spec("ids=:int=0..89").unwrap()]);
    let below = pair(graphs(), &said);
    assert!(below.holds && !below.rows.iter().any(|r| r.check.contains("past")));
    // One brings them within its table, the other refuses them.
    let clipped = [embedded(90, Some(89), None, 0), embedded(90, None, None, 0)];
    noted(&pair(clipped, &request()), "takes 90 to 92");
    // Both answer, and not the same.
    let both = [
        embedded(90, Some(89), None, 0),
        embedded(100, None, None, 0),
    ];
    assert!(!pair(both, &request()).holds);
    let alike = [
        embedded(90, Some(89), None, 0),
        embedded(90, Some(89), None, 0),
    ];
    assert!(pair(alike, &request()).holds);
}

#[test]
fn rows_that_differ_are_tried_first() {
    for (row, holds) in [(None, true), (Some(31_000), false)] {
        let graphs = [
            embedded(40_000, None, None, 6),
            embedded(40_000, None, row, 6),
        ];
        let found = pair(graphs, &request());
        assert_eq!(found.holds, holds, "{row:?}: {:?}", found.notes);
        if holds {
            noted(&found, "compared in the tables: they are the same");
        }
    }
}

/// What a type holds is drawn, both ends of it, and nothing else.
#[test]
fn narrow_integers_are_drawn_within_their_type() {
    for (dtype, low, high) in [
        (DType::U8, 0, 255),
        (DType::I8, -128, 127),
        (DType::U16, 0, 65_535),
        (DType::I16, -32_768, 32_767),
    ] {
        let graph = |add: f32| Graph {
            inputs: vec![info("n", dtype, "B,T")],
            outputs: vec![floats("y", "B,T")],
            nodes: vec![
                node(
                    "Cast",
                    &["n"],
                    &["f"],
                    &[("to", minrnn_onnx::ir::Attr::Int(1))],
                ),
                node("Max", &["f", "bound"], &["y"], &[]),
            ],
            initializers: vec![Constant::f32("bound", vec![], &[add])],
            ..Graph::default()
        };
        let mut said = request();
        let range = format!("n=:int={low}..{high}");
        said.inputs.extend([input_spec(&range).unwrap()]);
        // Of one place at an end of the range alone.
        let found = pair([graph(low as f32), graph(low as f32 + 1.0)], &said);
        assert!(!found.holds, "{dtype:?}");
        let mut beyond = request();
        let range = format!("n=:int={low}..{}", high + 1);
        beyond.inputs.extend([input_spec(&range).unwrap()]);
        let graphs = [graph(0.0), graph(0.0)];
        let error = Folder::new().pair(Kind::Same, graphs, &beyond).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("takes {low} to {high}")),
            "{error:#}"
        );
    }
    // A table of more rows than the type counts.
    let mut graph = embedded(1000, None, None, 0);
    graph.inputs[0].dtype = Some(DType::U8);
    graph.nodes.insert(
        0,
        node(
            "Cast",
            &["ids"],
            &["long"],
            &[("to", minrnn_onnx::ir::Attr::Int(7))],
        ),
    );
    graph.nodes[1].inputs[1] = "long".into();
    assert!(pair([graph.clone(), graph], &request()).holds);
}
