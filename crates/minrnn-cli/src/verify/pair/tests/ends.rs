//! Rows that end at different places, of a sequence and of a memory.

use minrnn_onnx::ir::{Attr, DType, Graph};

use super::graphs::{Folder, floats, info, node, noted, recurrent, request};
use super::*;
use crate::verify::pair::Pair;

/// `y = x + the last state of a GRU over m`, as far as `ends` says; `heeds`: whether it is read so, or only asked for.
fn graph(step: bool, ends: &str, heeds: bool, length: &str) -> Graph {
    let gru = recurrent("GRU", &[]);
    let mut inputs: Vec<&str> = vec!["m", "W", "R", "B"];
    if heeds {
        inputs.push(ends);
    }
    let hidden = ("hidden_size", Attr::Int(4));
    let mut nodes = vec![
        node("GRU", &inputs, &["all", "h"], &[hidden]),
        node(
            "Transpose",
            &["h"],
            &["turned"],
            &[("perm", Attr::Ints(vec![1, 0, 2]))],
        ),
    ];
    let mut last = match step {
        true => {
            let axes = Constant::i64("one", vec![1], &[1]);
            nodes.push(node("Squeeze", &["turned", "one"], &["last"], &[]));
            (axes, "last")
        }
        false => (Constant::i64("one", vec![1], &[1]), "turned"),
    };
    if !heeds {
        // Read, and of no weight.
        nodes.extend([
            node("Cast", &[ends], &["float"], &[("to", Attr::Int(1))]),
            node(
                "ReduceSum",
                &["float"],
                &["sum"],
                &[("keepdims", Attr::Int(0))],
            ),
            node("Mul", &["sum", "nothing"], &["none"], &[]),
            node("Add", &[last.1, "none"], &["read"], &[]),
        ]);
        last.1 = "read";
    }
    nodes.push(node("Add", &["x", last.1], &["y"], &[]));
    let x = if step { "B,4" } else { "B,T,4" };
    Graph {
        inputs: vec![
            floats("x", x),
            floats("m", &format!("{length},B,3")),
            info(ends, DType::I32, "B"),
        ],
        outputs: vec![floats("y", x)],
        nodes,
        initializers: [
            gru.initializers,
            vec![last.0, Constant::f32("nothing", vec![], &[0.0])],
        ]
        .concat(),
        ..Graph::default()
    }
}

fn run(kind: Kind, graphs: [Graph; 2]) -> Pair {
    let request = Request {
        longest: Some(17),
        ..request()
    };
    Folder::new().pair(kind, graphs, &request).unwrap()
}

/// They are within the length of the memory, whatever they are called, and end no row of the sequence.
#[test]
fn rows_of_a_memory_end_within_it() {
    for kind in [Kind::Step, Kind::Same] {
        for (ends, length) in [("m_lengths", "S"), ("src_len", "S"), ("n", "S"), ("n", "5")] {
            for (heeds, right) in [(true, true), (false, false)] {
                // Where neither an operator nor a name says what it is, it is asked for.
                if !heeds && ends == "n" {
                    continue;
                }
                let step = kind == Kind::Step;
                let found = run(
                    kind,
                    [
                        graph(false, ends, true, length),
                        graph(step, ends, heeds, length),
                    ],
                );
                assert_eq!(found.holds, right, "{kind:?} {ends}: {:?}", found.notes);
                // Of two files alike, what a GRU walks is time as well as any other length.
                if step {
                    noted(&found, "how much each row has of what every step reads");
                    noted(&found, "T = 1 to 17");
                }
            }
        }
    }
}
