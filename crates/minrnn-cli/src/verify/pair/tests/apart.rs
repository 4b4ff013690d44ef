//! Inputs whose lengths have names of their own.

use minrnn_onnx::ir::{Attr, Dim, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, request, same};
use super::*;
use crate::verify::pair::Pair;

/// Sums of `x [B, T, 3]` so far, and the mean of `m [B, <length>, 3]`: as such, or the sum over the steps of x.
fn mean(length: &str, by_x: bool) -> Graph {
    let axis = ("axes", Attr::Ints(vec![1]));
    let mut nodes = vec![node("CumSum", &["x", "one"], &["sums"], &[])];
    if by_x {
        nodes.extend([
            node("ReduceSum", &["m", "axis"], &["sum"], &[]),
            node("Shape", &["x"], &["shape"], &[]),
            node("Gather", &["shape", "one"], &["steps"], &[]),
            node("Cast", &["steps"], &["float"], &[("to", Attr::Int(1))]),
            node("Div", &["sum", "float"], &["mean"], &[]),
        ]);
    } else {
        nodes.push(node("ReduceMean", &["m"], &["mean"], &[axis]));
    }
    nodes.push(node("Add", &["sums", "mean"], &["y"], &[]));
    Graph {
        inputs: vec![floats("x", "B,T,3"), floats("m", &format!("B,{length},3"))],
        outputs: vec![floats("y", "B,T,3")],
        nodes,
        initializers: vec![
            Constant::i64("one", vec![], &[1]),
            Constant::i64("axis", vec![1], &[1]),
        ],
        ..Graph::default()
    }
}

fn pair(first: Graph, second: Graph, longest: usize) -> Pair {
    let folder = Folder::new();
    let (a, b) = (
        folder.write("a.onnx", first),
        folder.write("b.onnx", second),
    );
    let request = Request {
        longest: Some(longest),
        ..request()
    };
    same(&a, &b, &request)
}

/// With one length for both, a mean over one is a mean over the other.
#[test]
fn lengths_of_two_names_are_drawn_apart() {
    let found = pair(mean("S", false), mean("S", true), 20);
    assert!(!found.holds);
    let worst = found.rows.iter().find_map(|r| r.worst.as_ref()).unwrap();
    assert!(worst.case.contains("other lengths"), "{worst:?}");
    let alike = pair(mean("S", false), mean("S", false), 20);
    assert!(alike.holds, "{:?}", alike.rows);
}

/// The other file may leave them without names. Where it says that they are one, it refuses others, which is told.
#[test]
fn names_of_one_file_are_enough() {
    for [x, m] in [["T", ""], ["", "S"], ["", ""], ["T", "T"]] {
        let one = (x, m) == ("T", "T");
        let mut other = mean("S", true);
        for (input, name) in other.inputs.iter_mut().zip([x, m]) {
            let dims = input.dims.as_mut().unwrap();
            dims[1] = match name {
                "" => Dim::Unknown,
                name => Dim::symbol(name),
            };
        }
        let found = pair(mean("S", false), other, 20);
        assert_eq!(found.holds, one, "{x}, {m}: {:?}", found.notes);
        if one {
            noted(&found, "were drawn alike only");
        }
    }
}

/// One name is one length; what cannot be tried is said.
#[test]
fn lengths_of_one_name_are_one() {
    let one = pair(mean("T", false), mean("T", true), 20);
    assert!(one.holds, "{:?}", one.rows);
    assert!(
        !one.notes.iter().any(|n| n.contains("drawn alike")),
        "{:?}",
        one.notes
    );
    assert!(!pair(mean("S", false), mean("S", true), 3).holds);
    noted(
        &pair(mean("S", false), mean("S", true), 1),
        "the lengths `T`, `S` were drawn alike only",
    );
    let sum = || Graph {
        nodes: vec![
            node("CumSum", &["x", "one"], &["sums"], &[]),
            node("Add", &["sums", "m"], &["y"], &[]),
        ],
        ..mean("S", false)
    };
    let refused = pair(sum(), sum(), 20);
    assert!(refused.holds, "{:?}", refused.rows);
    noted(&refused, "a.onnx refuses others");
}
