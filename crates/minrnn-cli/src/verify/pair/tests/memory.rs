//! A memory that every step reads whole: its length is none of T.

use minrnn_onnx::ir::{Attr, Dim, Graph, Tensor as Constant, ValueInfo};

use super::graphs::{Folder, floats, node, noted, request};
use super::*;
use crate::verify::pair::Pair;

/// What is made of a memory `m`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reads {
    Mean,
    /// A mean with a wrong number of entries.
    MeanBut,
    /// A sum over five.
    Fifth,
    Attention,
    /// With `mask`, added to the scores.
    Masked,
    /// With `mask`, of which nothing is read but its first entry.
    MaskIgnored,
}

pub(super) fn input(name: &str, dims: &str) -> ValueInfo {
    let mut info = floats(name, dims);
    for dim in info.dims.iter_mut().flatten() {
        if *dim == Dim::symbol("?") {
            *dim = Dim::Unknown;
        }
    }
    info
}

fn ints(name: &str, all: &[i64]) -> Constant {
    Constant::i64(name, vec![all.len() as i64], all)
}

/// `y = x + what is read of m`, `x` and `m` of these axes; of a step where `x` has two. `turned`: `m [S, B, 4]`.
pub(super) fn graph([x, m, mask]: [&str; 3], reads: Reads, turned: bool) -> Graph {
    let step = x.split(',').count() == 2;
    let mut nodes = vec![match turned {
        true => node(
            "Transpose",
            &["m"],
            &["n"],
            &[("perm", Attr::Ints(vec![1, 0, 2]))],
        ),
        false => node("Identity", &["m"], &["n"], &[]),
    }];
    match step {
        true => nodes.push(node("Unsqueeze", &["x", "one"], &["u"], &[])),
        false => nodes.push(node("Identity", &["x"], &["u"], &[])),
    }
    match reads {
        Reads::Mean => nodes.push(node(
            "ReduceMean",
            &["n"],
            &["r"],
            &[("axes", Attr::Ints(vec![1]))],
        )),
        Reads::Fifth => nodes.extend([
            node("ReduceSum", &["n", "one"], &["s"], &[]),
            node("Mul", &["s", "fifth"], &["r"], &[]),
        ]),
        Reads::MeanBut => nodes.extend([
            node("ReduceSum", &["n", "one"], &["s"], &[]),
            node("Shape", &["n"], &["shape"], &[]),
            node("Gather", &["shape", "one"], &["size"], &[]),
            node("Add", &["size", "one"], &["more"], &[]),
            node("Cast", &["more"], &["float"], &[("to", Attr::Int(1))]),
            node("Div", &["s", "float"], &["r"], &[]),
        ]),
        _ => {
            let perm = ("perm", Attr::Ints(vec![0, 2, 1]));
            nodes.extend([
                node("Transpose", &["n"], &["k"], &[perm]),
                node("MatMul", &["u", "k"], &["scores"], &[]),
            ]);
            match reads {
                Reads::Attention => nodes.push(node("Identity", &["scores"], &["biased"], &[])),
                Reads::Masked => nodes.extend([
                    node("Unsqueeze", &["mask", "one"], &["wide"], &[]),
                    node("Add", &["scores", "wide"], &["biased"], &[]),
                ]),
                _ => nodes.extend([
                    node("Slice", &["mask", "zero", "one", "one"], &["first"], &[]),
                    node("Unsqueeze", &["first", "one"], &["wide"], &[]),
                    node("Add", &["scores", "wide"], &["biased"], &[]),
                ]),
            }
            nodes.extend([
                node("Softmax", &["biased"], &["p"], &[("axis", Attr::Int(-1))]),
                node("MatMul", &["p", "n"], &["r"], &[]),
            ]);
        }
    }
    nodes.push(node("Add", &["u", "r"], &["v"], &[]));
    match step {
        true => nodes.push(node("Squeeze", &["v", "one"], &["y"], &[])),
        false => nodes.push(node("Identity", &["v"], &["y"], &[])),
    }
    let mut inputs = vec![input("x", x), input("m", m)];
    if matches!(reads, Reads::Masked | Reads::MaskIgnored) {
        inputs.push(input("mask", mask));
    }
    Graph {
        inputs,
        outputs: vec![input("y", x)],
        nodes,
        initializers: vec![
            ints("one", &[1]),
            ints("zero", &[0]),
            Constant::f32("fifth", vec![1], &[0.2]),
        ],
        ..Graph::default()
    }
}

pub(super) fn run(kind: Kind, graphs: [Graph; 2], more: &[(&str, &str)]) -> Result<Pair> {
    let mut request = Request {
        longest: Some(20),
        ..request()
    };
    for (option, text) in more {
        match *option {
            "dim" => request.dims.extend([dim_spec(text).unwrap()]),
            "map" => request.names.extend([map_spec(text).unwrap()]),
            _ => request.inputs.extend([input_spec(text).unwrap()]),
        }
    }
    Folder::new().pair(kind, graphs, &request)
}

const SEQUENCE: [&str; 3] = ["B,T,4", "B,S,4", "B,S"];
const STEP: [&str; 3] = ["B,4", "B,S,4", "B,S"];

/// Right and wrong readings of a memory, of a sequence beside its step file and of two files of one kind.
#[test]
fn a_memory_has_a_length_of_its_own() {
    let pairs = [
        (Reads::Mean, Reads::Mean, true),
        (Reads::Mean, Reads::MeanBut, false),
        (Reads::Mean, Reads::Fifth, false),
        (Reads::Attention, Reads::Attention, true),
        (Reads::Masked, Reads::Masked, true),
        (Reads::Masked, Reads::MaskIgnored, false),
    ];
    for (a, b, right) in pairs {
        for (kind, there) in [(Kind::Step, STEP), (Kind::Same, SEQUENCE)] {
            let graphs = [graph(SEQUENCE, a, false), graph(there, b, false)];
            let found = run(kind, graphs, &[]).unwrap();
            assert_eq!(found.holds, right, "{kind:?}: {:?}", found.notes);
            noted(&found, "axis 1 (`S`) of `m` has a length of its own");
            noted(&found, "time is axis 1 (`T`) of `x`");
        }
    }
}

/// Axes of the memory in another order, and without names: operators tell which of them is the length.
#[test]
fn a_memory_may_lie_otherwise_and_have_no_names() {
    let faces = [
        (true, "B,T,4", "B,4", "S,B,4", "S,B,4"),
        (false, "B,T,4", "B,4", "B,mem,4", "B,mem,4"),
        (false, "B,T,4", "B,4", "B,S,4", "B,K,4"),
        (false, "?,T,4", "?,4", "?,?,4", "?,?,4"),
        (true, "B,T,4", "B,4", "?,?,4", "?,?,4"),
    ];
    for (turned, x, y, m, n) in faces {
        for (read, right) in [(Reads::Attention, true), (Reads::Mean, false)] {
            let graphs = [
                graph([x, m, ""], Reads::Attention, turned),
                graph([y, n, ""], read, turned),
            ];
            let found = run(Kind::Step, graphs, &[]);
            let found = found.unwrap_or_else(|e| panic!("{m}: {e:#}"));
            assert_eq!(found.holds, right, "{m}, {n}: {:?}", found.notes);
            noted(&found, "of `m` has a length of its own");
        }
    }
    // Nothing tells which axis holds the rows of a mean.
    let silent = |read| {
        [
            graph(["B,T,4", "?,?,4", ""], Reads::Mean, false),
            graph(["B,4", "?,?,4", ""], read, false),
        ]
    };
    let error = format!(
        "{:#}",
        run(Kind::Step, silent(Reads::Mean), &[]).unwrap_err()
    );
    assert!(error.contains("--input m=B,S,4"), "{error}");
    for (read, right) in [(Reads::Mean, true), (Reads::Fifth, false)] {
        let found = run(Kind::Step, silent(read), &[("input", "m=B,S,4")]).unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
    }
}

/// The sequence file has one name for both lengths: the memory is as long as the sequence, and every step reads all of it.
#[test]
fn a_memory_may_be_as_long_as_the_sequence() {
    let whole = |read| graph(["B,T,4", "B,T,4", "B,T"], read, false);
    for n in ["B,S,4", "B,T,4", "B,?,4"] {
        for (read, right) in [
            (Reads::Mean, true),
            (Reads::MeanBut, false),
            (Reads::Fifth, false),
        ] {
            let graphs = [whole(Reads::Mean), graph(["B,4", n, ""], read, false)];
            let found = run(Kind::Step, graphs, &[]).unwrap();
            assert_eq!(found.holds, right, "{n}: {:?}", found.notes);
            noted(
                &found,
                "as there are steps, and every step reads all of them",
            );
        }
    }
    // Of one entry it goes along time, as x does.
    let each = |step: bool, op: &'static str| {
        let mut g = graph(
            match step {
                false => ["B,T,4", "B,T,4", ""],
                true => ["B,4", "B,1,4", ""],
            },
            Reads::Mean,
            false,
        );
        for n in &mut g.nodes {
            if n.op_type == "ReduceMean" {
                n.op_type = op.into();
                n.attributes.clear();
            }
        }
        g
    };
    for (op, right) in [("Tanh", true), ("Sigmoid", false)] {
        let found = run(Kind::Step, [each(false, "Tanh"), each(true, op)], &[]).unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
        noted(&found, "time is axis 1 (`T`) of `m`");
    }
}

/// One entry in the step file, under another name in the sequence file: time or a memory, which is asked for.
#[test]
fn one_entry_of_another_name_is_asked_for() {
    let graphs = |read| {
        [
            graph(SEQUENCE, Reads::Mean, false),
            graph(["B,4", "B,1,4", ""], read, false),
        ]
    };
    let error = format!(
        "{:#}",
        run(Kind::Step, graphs(Reads::Mean), &[]).unwrap_err()
    );
    assert!(
        error.contains("--input m=B,T,4 or --input m=B,1,4"),
        "{error}"
    );
    for (read, right) in [(Reads::Mean, true), (Reads::MeanBut, false)] {
        let found = run(Kind::Step, graphs(read), &[("input", "m=B,1,4")]).unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
    }
}

/// A length that is fixed, in one file or by an option, fixes no other.
#[test]
fn a_fixed_length_fixes_no_other() {
    for (kind, x) in [(Kind::Step, "B,4"), (Kind::Same, "B,T,4")] {
        let whole = || graph(SEQUENCE, Reads::Mean, false);
        let of = |m: &str, read| graph([x, m, ""], read, false);
        for (graphs, more, right) in [
            ([whole(), of("B,5,4", Reads::Mean)], &[][..], true),
            ([whole(), of("B,5,4", Reads::Fifth)], &[], true),
            ([whole(), of("B,5,4", Reads::MeanBut)], &[], false),
            ([whole(), of("B,S,4", Reads::Mean)], &[("dim", "S=9")], true),
            (
                [whole(), of("B,S,4", Reads::Fifth)],
                &[("dim", "S=9")],
                false,
            ),
            (
                [whole(), of("B,S,4", Reads::Fifth)],
                &[("input", "m=B,5,4")],
                true,
            ),
        ] {
            let found = run(kind, graphs, more).unwrap();
            assert_eq!(found.holds, right, "{kind:?} {more:?}: {:?}", found.notes);
            noted(&found, "T = 1 to 20");
            assert!(
                !found.notes.iter().any(|n| n.contains("only")),
                "{:?}",
                found.notes
            );
        }
        let fixed = [
            graph(["B,T,4", "B,6,4", ""], Reads::Mean, false),
            of("B,5,4", Reads::Mean),
        ];
        let error = format!("{:#}", run(kind, fixed, &[]).unwrap_err());
        assert!(
            error.contains("`m`") && error.contains('6') && error.contains('5'),
            "{error}"
        );
        // T alone.
        let found = run(kind, [whole(), of("B,S,4", Reads::Mean)], &[("dim", "T=7")]).unwrap();
        assert!(found.holds, "{:?}", found.notes);
        noted(
            &found,
            match kind {
                Kind::Step => "T = 7 only, as --dim says",
                Kind::Same => "axis 1 (`T`) of `x` has 7 entries",
            },
        );
    }
}
