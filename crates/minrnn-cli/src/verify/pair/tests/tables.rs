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

/// Of one row, so that no case tries many integers at a time.
fn one_row(mut graph: Graph) -> Graph {
    graph.inputs = vec![info("ids", DType::I64, "1,T")];
    graph.outputs = vec![floats("y", "1,T,64")];
    graph
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
        let graphs = [None, row].map(|row| one_row(embedded(40_000, None, row, 6)));
        let found = pair(graphs, &request());
        assert_eq!(found.holds, holds, "{row:?}: {:?}", found.notes);
        if holds {
            noted(&found, "compared in the tables: they are the same");
        }
    }
}

/// `y` of ids by nodes that end in `y0 [B, T, 2]`, with a table of so many rows, a small one of ten, and numbers to count with. `other`:
/// a row of the table that is another one.
fn looked_up(rows: usize, other: Option<usize>, nodes: Vec<minrnn_onnx::ir::Node>) -> Graph {
    let mut table: Vec<f32> = (0..2 * rows).map(|i| (i as f32 * 0.37).sin()).collect();
    if let Some(row) = other {
        table[2 * row] += 0.05;
    }
    let small: Vec<f32> = (0..20).map(|i| (i as f32 * 0.9).cos()).collect();
    let whole = |name: &str, n: i64| Constant::i64(name, vec![], &[n]);
    let mut nodes = nodes;
    nodes.push(node("Identity", &["y0"], &["y"], &[]));
    Graph {
        inputs: vec![info("ids", DType::I64, "B,T")],
        outputs: vec![floats("y", "B,T,2")],
        nodes,
        initializers: vec![
            Constant::f32("table", vec![rows as i64, 2], &table),
            Constant::f32("small", vec![10, 2], &small),
            whole("none", 0),
            whole("nine", 9),
            whole("ten", 10),
            whole("all", rows as i64),
        ],
        ..Graph::default()
    }
}

fn to(dtype: i64) -> [(&'static str, minrnn_onnx::ir::Attr); 1] {
    [("to", minrnn_onnx::ir::Attr::Int(dtype))]
}

/// A small table behind a guard does not say which integers there are.
#[test]
fn guarded_tables_do_not_set_the_range() {
    let sum = || node("Add", &["big", "little"], &["y0"], &[]);
    let big = |ids: &str| node("Gather", &["table", ids], &["big"], &[]);
    let little = |ids: &str| node("Gather", &["small", ids], &["little"], &[]);
    let ways = [
        vec![
            node("Clip", &["ids", "none", "nine"], &["few"], &[]),
            big("ids"),
            little("few"),
            sum(),
        ],
        vec![
            node("Mod", &["ids", "all"], &["many"], &[]),
            node("Mod", &["ids", "ten"], &["few"], &[]),
            big("many"),
            little("few"),
            sum(),
        ],
        vec![
            node("Div", &["ids", "ten"], &["many"], &[]),
            node("Mod", &["ids", "ten"], &["few"], &[]),
            big("many"),
            little("few"),
            sum(),
        ],
        vec![
            node("Min", &["ids", "nine"], &["few"], &[]),
            node("Sub", &["ids", "ten"], &["less"], &[]),
            node("Max", &["less", "none"], &["many"], &[]),
            big("many"),
            little("few"),
            sum(),
        ],
    ];
    for (i, nodes) in ways.into_iter().enumerate() {
        for (row, holds) in [(None, true), (Some(60), false)] {
            let graphs = [
                looked_up(64, None, nodes.clone()),
                looked_up(64, row, nodes.clone()),
            ];
            assert_eq!(pair(graphs, &request()).holds, holds, "way {i}, {row:?}");
        }
    }
}

/// Negative integers count from the end: one file that makes others of them is another model, and an option says that none are meant.
#[test]
fn integers_below_0_are_tried() {
    let plain = || vec![node("Gather", &["table", "ids"], &["y0"], &[])];
    let changed = |op: &str, inputs: &[&str]| {
        let gather = node("Gather", &["table", "now"], &["y0"], &[]);
        vec![node(op, inputs, &["now"], &[]), gather]
    };
    let of = |nodes| looked_up(30, None, nodes);
    assert!(pair([of(plain()), of(plain())], &request()).holds);
    for nodes in [changed("Max", &["ids", "none"]), changed("Abs", &["ids"])] {
        let found = pair([of(plain()), of(nodes.clone())], &request());
        assert!(!found.holds, "{nodes:?}");
        let row = found.rows.iter().find(|r| !r.holds).unwrap();
        assert_eq!(row.check, "integers below 0");
        noted(
            &found,
            "--input ids=:int=0..29 says that they are not meant",
        );
        let mut said = request();
        said.inputs.extend([input_spec("ids=:int=0..29").unwrap()]);
        assert!(pair([of(plain()), of(nodes)], &said).holds);
    }
}

/// Where both files bring integers within their tables, what a narrow type makes of large ones on the way is seen.
#[test]
fn large_integers_are_tried_behind_guards() {
    let modulo = |through: Option<i64>| {
        let mut nodes = vec![];
        let mut ids = "ids";
        if let Some(dtype) = through {
            nodes.push(node("Cast", &["ids"], &["narrow"], &to(dtype)));
            nodes.push(node("Cast", &["narrow"], &["wide"], &to(7)));
            ids = "wide";
        }
        nodes.push(node("Mod", &[ids, "all"], &["within"], &[]));
        nodes.push(node("Gather", &["table", "within"], &["y0"], &[]));
        looked_up(30, None, nodes)
    };
    assert!(pair([modulo(None), modulo(None)], &request()).holds);
    for dtype in [1, 6] {
        let found = pair([modulo(None), modulo(Some(dtype))], &request());
        let row = found.rows.iter().find(|r| !r.holds).unwrap();
        assert_eq!(row.check, "large integers", "{dtype}");
    }
}

/// Floats that become rows of a table are the numbers of all rows.
#[test]
fn floats_that_index_a_table_are_drawn_as_its_rows() {
    let graph = |other, part: bool| {
        let cast = |from: &str| node("Cast", &[from], &["long"], &to(7));
        let gather = node("Gather", &["table", "long"], &["y0"], &[]);
        let axis = [("axis", minrnn_onnx::ir::Attr::Int(2))];
        let nodes = match part {
            true => vec![
                node("Gather", &["ids", "none"], &["column"], &axis),
                cast("column"),
                gather,
            ],
            false => vec![cast("ids"), gather],
        };
        let mut graph = looked_up(30, other, nodes);
        graph.inputs = vec![floats("ids", if part { "B,T,3" } else { "B,T" })];
        graph
    };
    for part in [false, true] {
        assert!(pair([graph(None, part), graph(None, part)], &request()).holds);
        for row in [1, 17, 29] {
            let found = pair([graph(None, part), graph(Some(row), part)], &request());
            assert!(!found.holds, "row {row}, part {part}");
        }
    }
    let mut said = request();
    said.inputs.extend([input_spec("ids=:int=0..16").unwrap()]);
    assert!(pair([graph(None, false), graph(Some(17), false)], &said).holds);
    assert!(!pair([graph(None, false), graph(Some(16), false)], &said).holds);
}

/// Every table that integers read is compared, not the smallest one alone; and what is neither tried nor compared leaves the verdict open.
#[test]
fn all_tables_are_compared_where_rows_are_too_many() {
    let rows = 40_000;
    let graph = |other: Option<usize>, sorts: bool| {
        let mut graph = one_row(embedded(rows, None, None, 6));
        let mut scale = vec![1.0f32; rows];
        if let Some(row) = other {
            scale[row] = 1.5;
        }
        let first = graph
            .nodes
            .iter()
            .position(|n| n.op_type == "MatMul")
            .unwrap();
        graph.nodes[first].inputs[0] = "scaled".into();
        graph
            .nodes
            .insert(first, node("Mul", &["e0", "s0"], &["scaled"], &[]));
        graph
            .nodes
            .insert(first, node("Gather", &["scale", "ids"], &["s0"], &[]));
        graph
            .initializers
            .push(Constant::f32("scale", vec![rows as i64, 1], &scale));
        if sorts {
            graph
                .nodes
                .insert(first, node("Gather", &["scale", "ids"], &["more"], &[]));
        }
        graph
    };
    for (row, holds) in [(None, true), (Some(33_333), false)] {
        let found = pair([graph(None, false), graph(row, false)], &request());
        assert_eq!(found.holds, holds, "{row:?}: {:?}", found.notes);
        if holds {
            noted(&found, "compared in the tables: they are the same");
        }
    }
    let open = pair([graph(None, false), graph(None, true)], &request());
    noted(&open, "what stands at the others was not compared");
    assert!(!open.holds);
    let report = Report::new(vec![open]);
    assert!(report.is_open() && report.has_gaps());
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
