//! Single integers that say how long the past and the new steps are together.

use minrnn_onnx::ir::{Attr, DType, Graph, Tensor as Constant};

use super::graphs::{Folder, info, node, noted};
use super::memory::input;
use super::*;
use crate::verify::pair::Pair;
use crate::verify::pair::interface::Sum;

/// What a file does with the number that it is given.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Right,
    /// One more than it.
    Off,
    /// It is not read; the number of entries is.
    Ignored,
}

/// `y[t] = x[t] + the sum so far + the step's number`, of past and x; its number is known by that of all steps, given as `total` of shape
/// `dims`. Without a past where it has no names.
fn graph(x: &str, past: Option<[&str; 2]>, (total, dims): (&str, &str), way: Way) -> Graph {
    let row = |name: &str, n: i64| Constant::i64(name, vec![1], &[n]);
    let mut inputs = vec![input("x", x)];
    let mut outputs = vec![input("y", x)];
    let mut nodes = vec![];
    match past {
        Some([before, after]) => {
            inputs.push(input("past", before));
            outputs.push(input("present", after));
            let axis = ("axis", Attr::Int(1));
            nodes.push(node("Concat", &["past", "x"], &["present"], &[axis]));
        }
        None => nodes.push(node("Identity", &["x"], &["present"], &[])),
    }
    inputs.push(info(total, DType::I64, dims));
    let given = match way {
        Way::Right | Way::Off => total,
        Way::Ignored => "count",
    };
    nodes.extend([
        node("Shape", &["present"], &["shape"], &[]),
        node("Gather", &["shape", "one"], &["count"], &[]),
        node("Reshape", &[given, "one"], &["n"], &[]),
        node(
            "Add",
            &["n", if way == Way::Off { "one" } else { "zero" }],
            &["m"],
            &[],
        ),
        node("Shape", &["x"], &["x_shape"], &[]),
        node("Gather", &["x_shape", "one"], &["t"], &[]),
        node("Sub", &["m", "t"], &["before"], &[]),
        node("Cast", &["before"], &["add"], &[("to", Attr::Int(1))]),
        node("CumSum", &["present", "axis"], &["sums"], &[]),
        node("Neg", &["t"], &["from"], &[]),
        node("Slice", &["sums", "from", "far", "one"], &["own"], &[]),
        node("Mul", &["x", "nothing"], &["nil"], &[]),
        node("Add", &["nil", "unit"], &["ones"], &[]),
        node("CumSum", &["ones", "axis"], &["steps"], &[]),
        node("Add", &["steps", "add"], &["positions"], &[]),
        node("Add", &["own", "positions"], &["moved"], &[]),
        node("Add", &["x", "moved"], &["y"], &[]),
    ]);
    Graph {
        inputs,
        outputs,
        nodes,
        initializers: vec![
            row("one", 1),
            row("zero", 0),
            row("far", i64::MAX),
            Constant::i64("axis", vec![], &[1]),
            Constant::f32("nothing", vec![1], &[0.0]),
            Constant::f32("unit", vec![1], &[1.0]),
        ],
        ..Graph::default()
    }
}

fn run(kind: Kind, graphs: [Graph; 2], state: bool, values: &[&str]) -> Result<Pair> {
    let mut request = Request {
        longest: Some(9),
        ..Request::default()
    };
    if state {
        request.states.push("past=present".parse().unwrap());
        request.inputs.extend([input_spec("past=B,0,4").unwrap()]);
    }
    let values = values.iter().map(|text| value_spec(text).unwrap());
    request.values.extend(values);
    Folder::new().pair(kind, graphs, &request)
}

/// By its name, by that of the grown axis, and by the option; a scalar and one entry.
#[test]
fn a_number_of_all_steps_is_given_as_it_grows() {
    for dims in ["", "1"] {
        for (total, after, values) in [
            ("total_sequence_length", "B,S,4", &[][..]),
            ("total_len", "B,P+1,4", &[]),
            ("S", "B,S,4", &[]),
            ("n", "B,S,4", &["n=P+T"]),
        ] {
            let total = (total, dims);
            let step = |way| graph("B,1,4", Some(["B,P,4", after]), total, way);
            let whole = graph("B,T,4", Some(["B,P,4", "B,P+T,4"]), total, Way::Right);
            let without = graph("B,T,4", None, total, Way::Right);
            for (first, values) in [(whole, values), (without, values)] {
                for (way, right) in [(Way::Right, true), (Way::Ignored, true), (Way::Off, false)] {
                    let graphs = [first.clone(), step(way)];
                    let pair = run(Kind::Step, graphs, true, values)
                        .unwrap_or_else(|e| panic!("{total:?} {after}: {e:#}"));
                    assert_eq!(pair.holds, right, "{total:?} {after}: {:?}", pair.notes);
                }
            }
        }
    }
}

/// A past that is an input like others.
#[test]
fn a_number_of_all_steps_of_two_files_of_one_kind() {
    let names = Some(["B,past_len,4", "B,S,4"]);
    for (total, values) in [("total_sequence_length", &[][..]), ("n", &["n=past_len+T"])] {
        for (way, right) in [(Way::Right, true), (Way::Ignored, true), (Way::Off, false)] {
            let all = [Way::Right, way].map(|way| graph("B,T,4", names, (total, ""), way));
            let pair = run(Kind::Same, all, false, values).unwrap();
            assert_eq!(pair.holds, right, "{total}: {:?}", pair.notes);
            if values.is_empty() {
                noted(&pair, "is `past_len` and the steps together");
            }
        }
    }
}

/// What is called otherwise is asked for, with the option that says it; words that are nothing are refused by name.
#[test]
fn a_number_of_another_name_is_asked_for() {
    let graphs = || {
        let step = graph("B,1,4", Some(["B,P,4", "B,S,4"]), ("n", ""), Way::Right);
        let whole = graph("B,T,4", Some(["B,P,4", "B,P+T,4"]), ("n", ""), Way::Right);
        [whole, step]
    };
    let said = |values| format!("{:#}", run(Kind::Step, graphs(), true, values).unwrap_err());
    let error = said(&[]);
    assert!(error.contains("--value n=P+T"), "{error}");
    let error = said(&["n=Q+R+T"]);
    assert!(error.contains("--value says `Q+R+T`"), "{error}");
    let error = said(&["n=Foo+T"]);
    assert!(error.contains("`Foo` is neither T"), "{error}");
    assert!(error.contains("the past's length is `P`"), "{error}");
    for right in ["n=P+T", "n=T+past"] {
        let pair = run(Kind::Step, graphs(), true, &[right]).unwrap();
        assert!(pair.holds, "{right}: {:?}", pair.notes);
    }
}

/// The number of the last step, as attention over groups of queries has it, and other whole numbers taken away or added.
#[test]
fn whole_numbers_are_taken_from_a_sum() {
    for dims in ["", "1"] {
        let step = |way| graph("B,1,4", Some(["B,P,4", "B,S,4"]), ("n", dims), way);
        let whole = graph("B,T,4", Some(["B,P,4", "B,P+T,4"]), ("m", dims), Way::Right);
        for (value, way, right) in [
            ("n=P+T-1", Way::Off, true),
            ("n=T+P-1", Way::Off, true),
            ("n=P+T+2-3", Way::Off, true),
            ("n=P+T-2", Way::Off, false),
            ("n=P+T", Way::Off, false),
            ("n=P+T-1", Way::Right, false),
            ("n=T-1", Way::Off, false),
        ] {
            let graphs = [whole.clone(), step(way)];
            let pair = run(Kind::Step, graphs, true, &[value, "m=P+T"]);
            let pair = pair.unwrap_or_else(|e| panic!("{value} {dims}: {e:#}"));
            assert_eq!(pair.holds, right, "{value} {dims}: {:?}", pair.notes);
        }
    }
    let below = Sum {
        time: 1,
        lengths: vec![],
        plus: 0,
        minus: 3,
    };
    assert_eq!((below.number(1, &[]), below.of(1, &[])), (-2.0, 0));
}
