//! Two memories, and what limits a memory's length.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{node, noted};
use super::memory::{Reads, graph, input, run};
use super::*;

/// `y = x + mean of m + mean of n`; `halves`: by the number of entries of m for both.
fn two_means(step: bool, lengths: [&str; 2], halves: bool) -> Graph {
    let [m, n] = lengths.map(|l| format!("B,{l},4"));
    let mut g = graph(
        [if step { "B,4" } else { "B,T,4" }, &m, ""],
        Reads::Mean,
        false,
    );
    g.inputs.push(input("n2", &n));
    let at = g.nodes.iter().position(|n| n.op_type == "Add").unwrap();
    let axes = ("axes", Attr::Ints(vec![1]));
    let mut more = match halves {
        false => vec![node("ReduceMean", &["n2"], &["q"], &[axes])],
        true => vec![
            node("ReduceSum", &["n2", "one"], &["s2"], &[]),
            node("Shape", &["m"], &["shape2"], &[]),
            node("Gather", &["shape2", "one"], &["size2"], &[]),
            node("Cast", &["size2"], &["float2"], &[("to", Attr::Int(1))]),
            node("Div", &["s2", "float2"], &["q"], &[]),
        ],
    };
    more.push(node("Add", &["u", "q"], &["w"], &[]));
    g.nodes[at].inputs[0] = "w".into();
    g.nodes.splice(at..at, more);
    g
}

/// Two memories have two lengths, whether they have names or not.
#[test]
fn two_memories_have_two_lengths() {
    for kind in [Kind::Step, Kind::Same] {
        for lengths in [["S", "R"], ["?", "?"]] {
            for (halves, right) in [(false, true), (true, false)] {
                let graphs = [
                    two_means(false, lengths, false),
                    two_means(kind == Kind::Step, lengths, halves),
                ];
                let found = run(kind, graphs, &[]).unwrap();
                assert_eq!(
                    found.holds, right,
                    "{kind:?} {lengths:?}: {:?}",
                    found.notes
                );
            }
        }
        // One name is one length.
        let graphs = [
            two_means(false, ["S", "S"], false),
            two_means(kind == Kind::Step, ["S", "S"], true),
        ];
        assert!(run(kind, graphs, &[]).unwrap().holds);
    }
}

/// A memory with a default in both files, which is a length too.
#[test]
fn a_memory_may_have_a_default() {
    let with = |mut g: Graph| {
        let values: Vec<f32> = (0..24).map(|i| (i % 7) as f32 - 3.0).collect();
        g.initializers
            .push(Constant::f32("m", vec![1, 6, 4], &values));
        g
    };
    for (read, right) in [(Reads::Mean, true), (Reads::MeanBut, false)] {
        let faces = [["B,T,4", "1,6,4", ""], ["B,4", "1,6,4", ""]];
        let [a, b] = faces.map(|f| (f, read));
        let graphs = [
            with(graph(a.0, Reads::Mean, false)),
            with(graph(b.0, b.1, false)),
        ];
        let found = run(Kind::Step, graphs, &[]).unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
    }
}

/// A table of `rows` for the entries of the memory, of which one row may differ.
fn placed(step: bool, changed: Option<usize>) -> Graph {
    let mut g = graph(
        match step {
            true => ["B,4", "B,S,4", ""],
            false => ["B,T,4", "B,S,4", ""],
        },
        Reads::Mean,
        false,
    );
    let scalar = |name: &str, n: i64| Constant::i64(name, vec![], &[n]);
    let mut table: Vec<f32> = (0..32).map(|i| (i % 5) as f32 * 0.3 - 0.5).collect();
    if let Some(row) = changed {
        table[row * 4] += 0.5;
    }
    g.initializers.extend([
        scalar("begin", 0),
        scalar("by", 1),
        Constant::f32("table", vec![8, 4], &table),
    ]);
    g.nodes[0] = node("Mul", &["m", "place"], &["n"], &[]);
    g.nodes.splice(
        0..0,
        [
            node("Shape", &["m"], &["all"], &[]),
            node("Gather", &["all", "by"], &["size"], &[]),
            node("Range", &["begin", "size", "by"], &["range"], &[]),
            node("Gather", &["table", "range"], &["place"], &[]),
        ],
    );
    g
}

/// A memory of at most eight entries is run at eight: what only the last ones reach shows.
#[test]
fn the_longest_memory_is_run() {
    for (changed, right) in [(None, true), (Some(7), false)] {
        let found = run(
            Kind::Step,
            [placed(false, None), placed(true, changed)],
            &[],
        )
        .unwrap();
        assert_eq!(found.holds, right, "{:?}", found.notes);
        noted(
            &found,
            "the length `S` was [1, 2, 3, 5, 8], and none of [16, 17, 19]",
        );
    }
}

/// `y = softmax(x k + mask) k`, `k` of two memories; `read`: what of the mask.
fn masked(step: bool, mask: &str, read: f32) -> Graph {
    let x = if step { "B,4" } else { "B,T,4" };
    let mut g = graph([x, "B,S,4", mask], Reads::Masked, false);
    g.inputs.insert(2, input("m2", "B,R,4"));
    g.nodes[0] = node("Concat", &["m", "m2"], &["n"], &[("axis", Attr::Int(1))]);
    for node in &mut g.nodes {
        let names = node.inputs.iter_mut();
        names
            .filter(|n| *n == "mask")
            .for_each(|n| *n = "part".into());
    }
    let part = node("Mul", &["mask", "read"], &["part"], &[]);
    g.nodes.insert(0, part);
    g.initializers.push(Constant::f32("read", vec![], &[read]));
    g
}

/// A mask over two memories is as long as both: a mask of one entry, which is repeated, would show nothing.
#[test]
fn a_length_may_be_the_sum_of_two_memories() {
    for kind in [Kind::Step, Kind::Same] {
        for mask in ["B,S+R", "B,N1", "B,?"] {
            for (read, right) in [(1.0, true), (0.0, false)] {
                let graphs = [
                    masked(false, mask, 1.0),
                    masked(kind == Kind::Step, mask, read),
                ];
                let found = run(kind, graphs, &[("map", "mask=mask")]).unwrap();
                assert_eq!(found.holds, right, "{kind:?} {mask}: {:?}", found.notes);
            }
        }
    }
}
