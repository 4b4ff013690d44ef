//! Inputs far beyond the usual, values that are no numbers, and tolerances that say nothing.

use minrnn_onnx::ir::{Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, request, same};
use super::*;
use crate::verify::pair::checks::LARGE;

/// Operations one after the other, from `x [B, T, 3]` to `y`; each has further inputs.
fn chain(ops: &[(&str, &[&str])]) -> Graph {
    let mut from = "x".to_owned();
    let mut nodes = vec![];
    for (i, (op, more)) in ops.iter().enumerate() {
        let to = match i + 1 == ops.len() {
            true => "y".to_owned(),
            false => format!("v{i}"),
        };
        let inputs: Vec<&str> = [&[from.as_str()], *more].concat();
        nodes.push(node(op, &inputs, &[&to], &[]));
        from = to;
    }
    let one = |name: &str, v: f32| Constant::f32(name, vec![], &[v]);
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes,
        initializers: vec![
            one("zero", 0.0),
            one("three", 3.0),
            one("six", 6.0),
            one("fifty", 50.0),
            one("big", 1e8),
        ],
        ..Graph::default()
    }
}

fn row<'a>(pair: &'a Pair, check: &str) -> &'a Row {
    pair.rows.iter().find(|r| r.check == check).unwrap()
}

/// What parts two files beyond the reach of normal numbers.
#[test]
fn some_inputs_are_100_times_as_large() {
    let folder = Folder::new();
    let relu = folder.write("relu.onnx", chain(&[("Relu", &[])]));
    let clip = folder.write("clip.onnx", chain(&[("Clip", &["zero", "six"])]));
    let searched = Request {
        bisect: true,
        ..request()
    };
    let pair = same(&relu, &clip, &request());
    assert!(
        row(&pair, "whole").holds && !row(&pair, LARGE).holds,
        "{pair:#?}"
    );
    let worst = row(&pair, LARGE).worst.as_ref().unwrap();
    assert!(
        worst.case.contains("inputs 100 times as large"),
        "{worst:?}"
    );
    let pair = same(&relu, &relu, &request());
    assert!(pair.holds && row(&pair, LARGE).holds);
    // The search looks there too.
    let fifty = folder.write("fifty.onnx", chain(&[("Clip", &["zero", "fifty"])]));
    let found = same(&clip, &fifty, &searched).bisect.unwrap();
    assert_eq!(found.operator, "Clip");
    // Both leave the range in which they have a value.
    let root = folder.write(
        "root.onnx",
        chain(&[
            ("Abs", &[]),
            ("Sub", &["fifty"]),
            ("Neg", &[]),
            ("Sqrt", &[]),
        ]),
    );
    let pair = same(&root, &root, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    // tanh by exp is tanh, but not in f32 beyond 88.
    let two = [
        ("Exp", &[][..]),
        ("Mul", &["big"][..]),
        ("Div", &["big"][..]),
    ];
    let over = folder.write("over.onnx", chain(&[&two[..], &[("Log", &[])]].concat()));
    let plain = folder.write("plain.onnx", chain(&[("Identity", &[])]));
    let pair = same(&over, &plain, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    let notes = pair.notes.join("\n");
    assert!(
        notes.contains("100 times as large the two mean the same"),
        "{notes}"
    );
}

/// A file that loses its digits there is not said to mean another thing: float64 has an end too.
#[test]
fn what_leaves_the_range_cannot_be_told() {
    let folder = Folder::new();
    let three = [("Mul", &["three"][..])];
    let log = [&three[..], &[("Exp", &[]), ("Log", &[])]].concat();
    let log = folder.write("log.onnx", chain(&log));
    let plain = folder.write("plain.onnx", chain(&three));
    let pair = same(&log, &plain, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    assert!(row(&pair, LARGE).untold > 0 && row(&pair, "whole").untold == 0);
    let notes = pair.notes.join("\n");
    assert!(
        notes.contains("rounding costs one of them there"),
        "{notes}"
    );
    // A file that means another thing does, whatever the other one loses.
    let other = folder.write("other.onnx", chain(&[("Mul", &["six"])]));
    assert!(!same(&log, &other, &request()).holds);
}

/// Both files lose all digits: no verdict of theirs says that they agree, and none that they do not.
#[test]
fn what_rounding_hides_cannot_be_told() {
    let folder = Folder::new();
    let lost = &[("Add", &["big"][..]), ("Sub", &["big"])];
    let a = folder.write("a.onnx", chain(lost));
    let b = folder.write(
        "b.onnx",
        chain(&[&[("Mul", &["three"][..])], &lost[..]].concat()),
    );
    let pair = same(&a, &b, &request());
    assert!(row(&pair, "whole").untold > 0, "{:#?}", pair.rows);
    let report = Report::new(vec![pair]).text(false);
    for text in [
        "cannot be told ",
        "whole, `y`: of ",
        "Of some values it cannot be told whether they agree",
    ] {
        assert!(report.contains(text), "{text}: {report}");
    }
    let plain = folder.write("plain.onnx", chain(&[("Tanh", &[])]));
    let pair = same(&plain, &plain, &request());
    assert!(pair.rows.iter().all(|r| r.untold == 0), "{:#?}", pair.rows);
}

/// An engine that has no number where the judge has none is not wrong, whatever that says of the file.
#[test]
fn an_engine_that_gives_the_nan_of_the_judge_is_right() {
    let folder = Folder::new();
    let root = folder.write("root.onnx", chain(&[("Sqrt", &[])]));
    let pair = same(&root, &root, &request());
    assert!(!pair.holds && row(&pair, "whole").no_number > 0);
    let engine = row(&pair, "first file");
    assert!(engine.by == "tract" && engine.holds, "{engine:#?}");
    assert!(
        !pair.notes.join("\n").contains("wrongly"),
        "{:?}",
        pair.notes
    );
}
