//! Lengths at which a file goes another way: of one residue, or held against a number.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted};
use super::*;

/// When a file adds something to x.
#[derive(Clone, Copy, Debug)]
enum When {
    Never,
    /// At lengths with this residue: `n` of `m`.
    Residue(i64, i64),
    /// At this length alone.
    Equal(i64),
    /// In rows from this one on.
    Row(i64),
}

/// `y = x`, or x and what is added; `of`: whose axis 1 is the length.
fn graph(when: When, of: &str, more: &[&str]) -> Graph {
    let size = |axis: i64| {
        let part = [("start", Attr::Int(axis)), ("end", Attr::Int(axis + 1))];
        node("Shape", &[of], &["size"], &part)
    };
    let nodes = match when {
        When::Never => vec![node("Identity", &["x"], &["y"], &[])],
        When::Residue(..) => vec![
            size(1),
            node("Mod", &["size", "m"], &["rest"], &[]),
            node("Equal", &["rest", "n"], &["is"], &[]),
        ],
        When::Equal(_) => vec![size(1), node("Equal", &["size", "n"], &["is"], &[])],
        When::Row(_) => vec![
            node("Shape", &["x"], &["size"], &[("end", Attr::Int(1))]),
            node("Squeeze", &["size"], &["rows"], &[]),
            node("Range", &["zero", "rows", "one"], &["row"], &[]),
            node("GreaterOrEqual", &["row", "n"], &["each"], &[]),
            node("Unsqueeze", &["each", "behind"], &["is"], &[]),
        ],
    };
    let (n, m) = match when {
        When::Residue(n, m) => (n, m),
        When::Equal(n) | When::Row(n) => (n, 1),
        When::Never => (0, 1),
    };
    let mut nodes = nodes;
    if !matches!(when, When::Never) {
        nodes.extend([
            node("Cast", &["is"], &["some"], &[("to", Attr::Int(1))]),
            node("Add", &["x", "some"], &["y"], &[]),
        ]);
    }
    let mut inputs = vec![floats("x", "B,T,3")];
    inputs.extend(more.iter().map(|name| floats(name, "B,S,3")));
    if !more.is_empty() {
        nodes.extend([
            node(
                "ReduceMean",
                &["m0"],
                &["mean"],
                &[("axes", Attr::Ints(vec![1]))],
            ),
            node("Add", &["y", "mean"], &["z"], &[]),
        ]);
    }
    Graph {
        inputs,
        outputs: vec![floats(if more.is_empty() { "y" } else { "z" }, "B,T,3")],
        nodes,
        initializers: vec![
            Constant::i64("n", vec![], &[n]),
            Constant::i64("m", vec![], &[m]),
            Constant::i64("zero", vec![], &[0]),
            Constant::i64("one", vec![], &[1]),
            Constant::i64("behind", vec![2], &[1, 2]),
        ],
        ..Graph::default()
    }
}

fn pair(whens: [When; 2], of: &str, more: &[&str], longest: usize) -> Pair {
    let request = Request {
        longest: Some(longest),
        ..Request::default()
    };
    let graphs = whens.map(|when| graph(when, of, more));
    Folder::new().pair(Kind::Same, graphs, &request).unwrap()
}

#[test]
fn lengths_that_go_another_way_are_found() {
    for (when, longest) in [
        (When::Residue(15, 16), 33),
        (When::Residue(7, 8), 33),
        (When::Residue(0, 40), 64),
        (When::Equal(33), 64),
        (When::Equal(100), 300),
        (When::Equal(129), 300),
        (When::Row(6), 3),
    ] {
        let found = pair([When::Never, when], "x", &[], longest);
        assert!(!found.holds, "{when:?}");
    }
    for when in [When::Residue(15, 16), When::Equal(100), When::Row(6)] {
        let same = pair([when, when], "x", &[], 130);
        assert!(same.holds, "{when:?}: {:?}", same.notes);
    }
}

/// The same of a memory that every step reads whole.
#[test]
fn so_are_lengths_of_memories() {
    for when in [When::Residue(7, 8), When::Equal(33)] {
        let found = pair([When::Never, when], "m0", &["m0"], 40);
        assert!(!found.holds, "{when:?}: {:?}", found.notes);
        let same = pair([when, when], "m0", &["m0"], 40);
        assert!(same.holds, "{when:?}: {:?}", same.notes);
    }
}

/// Numbers of a file that lengths are held against.
#[test]
fn numbers_beside_lengths_are_met() {
    let mut graph = graph(When::Residue(15, 48), "x", &[]);
    graph
        .initializers
        .push(Constant::i64("other", vec![2], &[-1, 77]));
    graph
        .initializers
        .push(Constant::f32("float", vec![], &[9.0]));
    let model = minrnn_onnx::ir::Model {
        graph,
        ..Default::default()
    };
    let met = super::super::met::met(&model);
    assert_eq!(met.beside.into_iter().collect::<Vec<_>>(), [15, 48]);
    assert_eq!(met.others.into_iter().collect::<Vec<_>>(), [2, 77]);
}

/// A file that has its number of rows fixed says nothing of others.
#[test]
fn rows_that_one_file_has_fixed_are_told_of() {
    let mut one = graph(When::Never, "x", &[]);
    one.inputs[0] = floats("x", "1,T,3");
    let graphs = [one, graph(When::Never, "x", &[])];
    let request = super::graphs::request();
    let pair = Folder::new().pair(Kind::Same, graphs, &request).unwrap();
    assert!(pair.holds, "{:?}", pair.notes);
    noted(&pair, "takes B = 1 only");
}
