//! A past that grows, and what is as long as the past and the new steps together.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, node, noted, request};
use super::memory::input;
use super::*;
use crate::verify::pair::Pair;
use crate::verify::pair::interface::Sum;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Right,
    /// Each step sees as much as if there were no past.
    Shift,
    /// The mask is not read.
    NoMask,
}

/// What the inputs are called: `x`, the past before and after, the mask.
#[derive(Clone, Copy)]
struct Names<'a> {
    x: &'a str,
    past: Option<[&'a str; 2]>,
    mask: &'a str,
}

/// Attention of each step over itself, what was before it, and the past: `y = softmax(x k + mask) k`.
fn graph(names: Names<'_>, way: Way) -> Graph {
    let scalar = |name: &str, n: i64| Constant::i64(name, vec![], &[n]);
    let row = |name: &str, n: i64| Constant::i64(name, vec![1], &[n]);
    let mut inputs = vec![input("x", names.x)];
    let mut outputs = vec![input("y", names.x)];
    let mut nodes = vec![];
    match names.past {
        Some([before, after]) => {
            inputs.push(input("past", before));
            outputs.push(input("present", after));
            let axis = ("axis", Attr::Int(1));
            nodes.push(node("Concat", &["past", "x"], &["present"], &[axis]));
        }
        None => nodes.push(node("Identity", &["x"], &["present"], &[])),
    }
    inputs.push(input("mask", names.mask));
    let first = match way {
        Way::Shift => node("Identity", &["by"], &["first"], &[]),
        _ => node("Add", &["p", "by"], &["first"], &[]),
    };
    let factor = if way == Way::NoMask { 0.0 } else { 1.0 };
    nodes.extend([
        node(
            "Transpose",
            &["present"],
            &["k"],
            &[("perm", Attr::Ints(vec![0, 2, 1]))],
        ),
        node("MatMul", &["x", "k"], &["scores"], &[]),
        node("Shape", &["scores"], &["shape"], &[]),
        node("Gather", &["shape", "by"], &["t"], &[]),
        node("Gather", &["shape", "two"], &["s"], &[]),
        node("Sub", &["s", "t"], &["p"], &[]),
        first,
        node("Slice", &["shape", "one", "three"], &["size"], &[]),
        node("Expand", &["far", "size"], &["wide"], &[]),
        node(
            "Trilu",
            &["wide", "first"],
            &["later"],
            &[("upper", Attr::Int(1))],
        ),
        node("Add", &["scores", "later"], &["seen"], &[]),
        node("Mul", &["mask", "factor"], &["read"], &[]),
        node("Unsqueeze", &["read", "one"], &["rows"], &[]),
        node("Add", &["seen", "rows"], &["all"], &[]),
        node("Softmax", &["all"], &["shares"], &[("axis", Attr::Int(-1))]),
        node("MatMul", &["shares", "present"], &["y"], &[]),
    ]);
    Graph {
        inputs,
        outputs,
        nodes,
        initializers: vec![
            scalar("by", 1),
            scalar("two", 2),
            row("one", 1),
            row("three", 3),
            Constant::f32("far", vec![1, 1], &[-1e9]),
            Constant::f32("factor", vec![1], &[factor]),
        ],
        ..Graph::default()
    }
}

fn run(kind: Kind, graphs: [Graph; 2], state: Option<&str>, inputs: &[&str]) -> Result<Pair> {
    let mut request = Request {
        longest: Some(17),
        ..request()
    };
    request.states.extend(state.map(|s| s.parse().unwrap()));
    let inputs = inputs.iter().map(|text| input_spec(text).unwrap());
    request.inputs.extend(inputs);
    Folder::new().pair(kind, graphs, &request)
}

const WHOLE: Names<'_> = Names {
    x: "B,T,4",
    past: Some(["B,P,4", "B,P+T,4"]),
    mask: "B,P+T",
};

/// Files that take a past like any input: by a sum of names, by a name of its own, and by none.
#[test]
fn a_mask_goes_over_past_and_steps() {
    for (past, mask) in [
        (["B,P,4", "B,P+T,4"], "B,P+T"),
        (["B,P,4", "B,S,4"], "B,S"),
        (["B,?,4", "B,?,4"], "B,?"),
        (["B,past_len,4", "B,total,4"], "B,past_len + T"),
    ] {
        let names = Names {
            past: Some(past),
            mask,
            ..WHOLE
        };
        for (way, right) in [
            (Way::Right, true),
            (Way::Shift, false),
            (Way::NoMask, false),
        ] {
            let graphs = [graph(names, Way::Right), graph(names, way)];
            let found = run(Kind::Same, graphs, None, &[]).unwrap();
            assert_eq!(found.holds, right, "{mask}: {:?}", found.notes);
            noted(&found, "together");
        }
    }
}

/// A length that an empty past differs by is seen: sizes begin with 0.
#[test]
fn a_past_may_be_empty() {
    let with = |first: f32| {
        let mut g = graph(WHOLE, Way::Right);
        // Of an empty past something else: the product of no numbers is 1.
        let at = g.nodes.len() - 1;
        g.nodes[at].outputs[0] = "z".into();
        g.nodes.extend([
            node("Slice", &["past", "none", "one", "one"], &["some"], &[]),
            node("Shape", &["some"], &["sizes"], &[]),
            node("Gather", &["sizes", "by"], &["has"], &[]),
            node("Cast", &["has"], &["float"], &[("to", Attr::Int(1))]),
            node("Sub", &["unit", "float"], &["lacks"], &[]),
            node("Mul", &["lacks", "change"], &["more"], &[]),
            node("Add", &["z", "more"], &["y"], &[]),
        ]);
        g.initializers.extend([
            Constant::i64("none", vec![1], &[0]),
            Constant::f32("unit", vec![], &[1.0]),
            Constant::f32("change", vec![], &[first]),
        ]);
        g
    };
    for (change, right) in [(0.0, true), (0.5, false)] {
        let found = run(Kind::Same, [with(0.0), with(change)], None, &[]).unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
    }
}

/// A sequence file without a past beside a step file whose past grows.
#[test]
fn a_step_reads_past_and_step() {
    let whole = Names {
        past: None,
        mask: "B,T",
        ..WHOLE
    };
    for (past, mask) in [
        (["B,P,4", "B,P+1,4"], "B,P+1"),
        (["B,P,4", "B,total,4"], "B,total"),
        (["B,P,4", "B,?,4"], "B,?"),
        (["B,?,4", "B,?,4"], "B,?"),
        (["B,past_seq_len,4", "B,total_len,4"], "B,total_len"),
    ] {
        let step = Names {
            x: "B,1,4",
            past: Some(past),
            mask,
        };
        for first in [
            whole,
            Names {
                past: Some(WHOLE.past.unwrap()),
                mask: "B,P+T",
                ..WHOLE
            },
        ] {
            for (way, right) in [(Way::Right, true), (Way::NoMask, false)] {
                let graphs = [graph(first, Way::Right), graph(step, way)];
                let state = Some("past=present");
                let found = run(Kind::Step, graphs, state, &["past=B,0,4"]).unwrap();
                assert_eq!(found.holds, right, "{mask}: {:?}", found.notes);
            }
        }
        // A wrong sequence file shows where it takes its past back.
        let graphs = [graph(WHOLE, Way::Shift), graph(step, Way::Right)];
        let found = run(Kind::Step, graphs, Some("past=present"), &["past=B,0,4"]).unwrap();
        assert!(!found.holds, "{mask}: {:?}", found.notes);
    }
}

/// Two step files; a past that begins with some entries; what an option says.
#[test]
fn steps_against_steps_with_a_past() {
    let step = |mask| Names {
        x: "B,1,4",
        past: Some(["B,P,4", "B,S,4"]),
        mask,
    };
    for (mask, inputs) in [
        ("B,S", &["past=B,0,4"][..]),
        ("B,P+1", &["past=B,3,4"]),
        ("B,?", &["past=B,0,4", "mask=B,P+T"]),
    ] {
        for (way, right) in [(Way::Right, true), (Way::NoMask, false)] {
            let graphs = [graph(step(mask), Way::Right), graph(step(mask), way)];
            let found = run(Kind::Same, graphs, Some("past=present"), inputs).unwrap();
            assert_eq!(found.holds, right, "{mask}: {:?}", found.notes);
        }
    }
    let graphs = [graph(WHOLE, Way::Right), graph(step("B,S"), Way::Right)];
    let inputs = ["past=B,0,4", "mask=B,P+Q+T"];
    let error = run(Kind::Step, graphs, Some("past=present"), &inputs).unwrap_err();
    assert!(format!("{error:#}").contains("`Q`"), "{error:#}");
}

/// A size that nothing reads, and a mask that is said to go over the steps alone.
#[test]
fn sizes_of_what_is_given_whole_are_refused_and_short_masks_are_told() {
    let whole = Names {
        past: None,
        mask: "B,T",
        ..WHOLE
    };
    let step = Names {
        x: "B,1,4",
        past: Some(["B,P,4", "B,S,4"]),
        mask: "B,?",
    };
    let said = |inputs: &[&str], dim: Option<usize>| {
        let mut request = Request {
            longest: Some(17),
            ..request()
        };
        request.states.push("past=present".parse().unwrap());
        let inputs = inputs.iter().map(|text| input_spec(text).unwrap());
        request.inputs.extend(inputs);
        request.dims.extend(dim.map(|n| ("P".to_owned(), n)));
        let graphs = [graph(whole, Way::Right), graph(step, Way::Right)];
        Folder::new().pair(Kind::Step, graphs, &request)
    };
    assert!(said(&["past=B,0,4"], None).unwrap().holds);
    let error = format!("{:#}", said(&["past=B,0,4"], Some(0)).unwrap_err());
    assert!(error.contains("--dim P would change nothing"), "{error}");
    // One entry fits everywhere: the files differ by it, and the note says what else the option may have meant.
    let found = said(&["past=B,0,4", "mask=B,T"], None).unwrap();
    assert!(!found.holds);
    noted(&found, "--input mask=B,P+T");
}

/// What is made of sizes alone is another thing of a step than of the sequence: the first node that differs is one of values.
#[test]
fn sizes_are_not_accused() {
    let whole = Names {
        past: None,
        mask: "B,T",
        ..WHOLE
    };
    let step = Names {
        x: "B,1,4",
        past: Some(["B,P,4", "B,P+1,4"]),
        mask: "B,P+1",
    };
    let mut request = Request {
        longest: Some(17),
        bisect: true,
        ..request()
    };
    request.states.push("past=present".parse().unwrap());
    request.inputs.extend([input_spec("past=B,0,4").unwrap()]);
    let graphs = [graph(whole, Way::Right), graph(step, Way::NoMask)];
    let found = Folder::new().pair(Kind::Step, graphs, &request).unwrap();
    let culprit = found.bisect.unwrap();
    assert_eq!(culprit.operator, "Mul", "{culprit:?}");
}

#[test]
fn sums_of_sizes_beyond_all_are_no_panic() {
    let sum = Sum {
        time: 2,
        lengths: vec![0],
        plus: usize::MAX - 1,
        minus: 0,
    };
    assert_eq!(sum.of(9, &[usize::MAX]), usize::MAX);
}

/// `y = x + mean of the mask`, of any length, beside a past that grows.
fn any_mask(x: &str, [before, after]: [&str; 2], mask: &str) -> Graph {
    let axis = |n: i64| ("axis", Attr::Int(n));
    let row = |name: &str, n: i64| Constant::i64(name, vec![1], &[n]);
    Graph {
        inputs: vec![input("x", x), input("past", before), input("mask", mask)],
        outputs: vec![input("y", x), input("present", after)],
        nodes: vec![
            node("Concat", &["past", "x"], &["present"], &[axis(1)]),
            node(
                "ReduceMean",
                &["mask"],
                &["mean"],
                &[("axes", Attr::Ints(vec![1]))],
            ),
            node("Unsqueeze", &["mean", "one"], &["row"], &[]),
            node("Add", &["x", "row"], &["y"], &[]),
        ],
        initializers: vec![row("one", 1)],
        ..Graph::default()
    }
}

/// What is called by a sum of something unknown is no past unless it is said, where the files take any length.
#[test]
fn a_sum_of_something_unknown_is_asked_for() {
    let graphs = |name: &str| {
        let whole = any_mask("B,T,4", ["B,P,4", "B,P+T,4"], &format!("B,{name}+T"));
        let step = any_mask("B,1,4", ["B,P,4", "B,P+1,4"], &format!("B,{name}+1"));
        [whole, step]
    };
    let state = Some("past=present");
    let begun = "past=B,0,4";
    let error = run(Kind::Step, graphs("Foo"), state, &[begun]).unwrap_err();
    let error = format!("{error:#}");
    for words in ["`Foo+", "--input mask=B,P+T", "--input mask=B,S"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    // The mean over the past and all steps is no mean over the past and one.
    let known = run(Kind::Step, graphs("P"), state, &[begun]).unwrap();
    let said = run(Kind::Step, graphs("Foo"), state, &[begun, "mask=B,P+T"]).unwrap();
    for pair in [known, said] {
        assert!(!pair.holds, "{:?}", pair.notes);
        noted(&pair, "together");
    }
    let own = run(Kind::Step, graphs("Foo"), state, &[begun, "mask=B,S"]).unwrap();
    assert!(own.holds, "{:?}", own.notes);
}
