//! Inputs far beyond the usual, values that are no numbers, and tolerances that say nothing.

use std::cell::RefCell;

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::{DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, request, same};
use super::*;
use crate::verify::contender::{Failure, Opened};
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
            one("huge", 1e20),
            one("forty", 40.0),
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
    // Through an Elu no bound is followed.
    let behind = |op: (&'static str, &'static [&'static str])| chain(&[("Elu", &[]), op]);
    let relu = folder.write("relu.onnx", behind(("Relu", &[])));
    let clip = folder.write("clip.onnx", behind(("Clip", &["zero", "six"])));
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
    let fifty = folder.write("fifty.onnx", behind(("Clip", &["zero", "fifty"])));
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

/// An engine that computes `log(exp(40 x)) + 3` as f32 does, and is off by `more` where it has a number.
struct Overflows(f64);

impl Opened for Overflows {
    fn run(
        &mut self,
        feeds: &[(&str, &Array)],
        wanted: &[&str],
    ) -> std::result::Result<Vec<Array>, Failure> {
        let x = feeds[0].1;
        let one = |v: &f64| {
            let y = (*v as f32 * 40.0).exp().ln() + 3.0;
            if y.is_finite() {
                f64::from(y) + self.0
            } else {
                f64::from(y)
            }
        };
        let values: Vec<f64> = x.floats().unwrap_or_default().iter().map(one).collect();
        let all = wanted
            .iter()
            .map(|_| Array::from_floats(DType::F32, x.dims(), &values));
        let all: std::result::Result<Vec<Array>, _> = all.collect();
        all.map_err(|e| Failure::Refused(e.to_string()))
    }
}

const LOG: [(&str, &[&str]); 4] = [
    ("Mul", &["forty"]),
    ("Exp", &[]),
    ("Log", &[]),
    ("Add", &["three"]),
];

/// Infinite only because f32 ends: an engine that overflows there as the file does is neither right nor wrong; one that is off elsewhere is
/// wrong.
#[test]
fn an_engine_that_overflows_as_its_file_cannot_be_told() {
    let folder = Folder::new();
    let path = folder.write("log.onnx", chain(&LOG));
    let two = Two::open(&path, &path, Kind::Same, &Request::default()).unwrap();
    let mut costs = Rounding::new(None, two.times());
    let case = Case::random(&two, (3, 64), &mut Rng::named(0, "overflow")).unwrap();
    let judged = two.judged(0, &case, &mut costs).unwrap();
    for (more, right) in [(0.0, true), (30.0, false)] {
        let engine: RefCell<Box<dyn Opened>> = RefCell::new(Box::new(Overflows(more)));
        let ran = two.whole(0, By::Engine(&engine), &case).unwrap();
        let who = crate::verify::who::Who::judge();
        let mut check = Check::new("engine", &who, Held::Engine(0), &two);
        assert_eq!(
            check.add_within(&case, (&ran, &judged), &costs, None),
            right,
            "{more}"
        );
        let (tensor, [count, all], _) = check.outside().next().unwrap();
        assert!(tensor == "y" && count > 0 && count < all / 8, "{count}");
    }
    // Other infinities are wrong.
    let plain = folder.write("plain.onnx", chain(&[LOG[0], LOG[3]]));
    let plain = Two::open(&plain, &plain, Kind::Same, &Request::default()).unwrap();
    let judged = plain.judged(0, &case, &mut costs).unwrap();
    let engine: RefCell<Box<dyn Opened>> = RefCell::new(Box::new(Overflows(0.0)));
    let ran = plain.whole(0, By::Engine(&engine), &case).unwrap();
    let who = crate::verify::who::Who::judge();
    let mut check = Check::new("engine", &who, Held::Engine(0), &plain);
    assert!(!check.add_within(&case, (&ran, &judged), &costs, None));
    assert!(check.outside().next().is_none());
}

/// The same to the end, by tract: it is said, it is no wrong engine, and one that was asked for by name leaves the verdict open.
#[test]
fn values_beyond_the_range_are_reported() {
    let folder = Folder::new();
    let path = folder.write("log.onnx", chain(&LOG));
    let longest = Request {
        longest: Some(17),
        ..Request::default()
    };
    let pair = same(&path, &path, &longest);
    assert!(pair.holds, "{:#?}", pair.rows);
    let engine = row(&pair, "first file");
    assert!(
        engine.by == "tract" && engine.holds && engine.beyond > 0,
        "{engine:#?}"
    );
    noted(&pair, "leaves the range of its type");
    let report = Report::new(vec![pair]);
    assert!(!report.is_open());
    let text = report.text(false);
    assert!(text.contains("cannot be told │"), "{text}");
    assert!(text.contains("Of some values it cannot be told"), "{text}");
    let mut named = same(&path, &path, &longest);
    for row in &mut named.rows {
        row.decides = true;
    }
    named.holds = false;
    let report = Report::new(vec![named]);
    assert!(report.is_open());
    let text = report.text(false);
    assert!(text.contains("OF AN ENGINE IT CANNOT BE TOLD"), "{text}");
}

/// Two files whose values are infinite in their type alone, and other numbers in float64: nothing shows that they are the same.
#[test]
fn files_that_both_overflow_are_not_said_to_hold() {
    let folder = Folder::new();
    let far = &[("Mul", &["huge"][..]), ("Mul", &["huge"])][..];
    let a = folder.write("a.onnx", chain(&[&[("Mul", &["three"][..])], far].concat()));
    let b = folder.write("b.onnx", chain(&[&[("Mul", &["six"][..])], far].concat()));
    let pair = same(&a, &a, &request());
    assert!(pair.holds, "{:#?}", pair.rows);
    // Some are finite in one of them: a difference.
    assert!(!same(&a, &b, &request()).holds);
    let farther = [far, &[("Mul", &["fifty"][..])]].concat();
    let a = folder.write(
        "c.onnx",
        chain(&[&[("Mul", &["three"][..])], &farther[..]].concat()),
    );
    let b = folder.write(
        "d.onnx",
        chain(&[&[("Mul", &["six"][..])], &farther[..]].concat()),
    );
    let pair = same(&a, &b, &request());
    assert!(!pair.holds);
    let wrong = pair.rows.iter().any(|r| !r.holds && r.decides);
    assert!(!wrong, "{:#?}", pair.rows);
    noted(&pair, "beyond the range of their type");
    assert!(Report::new(vec![pair]).is_open());
}
