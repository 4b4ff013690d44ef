//! Silent frames and small inputs: files that take another path there.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, request};
use super::*;

/// `y = x + 1`, and 0 in frames of less energy than `least`; the energy is a product, through which no value is followed.
fn gated(least: Option<f32>) -> Graph {
    let one = |name: &str, v: f32| Constant::f32(name, vec![], &[v]);
    let mut nodes = vec![node("Add", &["x", "one"], &["more"], &[])];
    nodes.extend(match least {
        None => vec![node("Identity", &["more"], &["y"], &[])],
        Some(_) => vec![
            node("Mul", &["x", "x"], &["squares"], &[]),
            node("MatMul", &["squares", "ones"], &["energy"], &[]),
            node("Greater", &["energy", "least"], &["loud"], &[]),
            node("Where", &["loud", "more", "zero"], &["y"], &[]),
        ],
    });
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes,
        initializers: vec![
            one("one", 1.0),
            one("zero", 0.0),
            one("least", least.unwrap_or(0.0)),
            Constant::f32("ones", vec![3, 1], &[1.0; 3]),
        ],
        ..Graph::default()
    }
}

/// `y = x / sqrt(mean x^2 + epsilon)`.
fn normed(epsilon: f32) -> Graph {
    let last = [("axes", Attr::Ints(vec![2]))];
    Graph {
        inputs: vec![floats("x", "B,T,4")],
        outputs: vec![floats("y", "B,T,4")],
        nodes: vec![
            node("Mul", &["x", "x"], &["squares"], &[]),
            node("ReduceMean", &["squares"], &["mean"], &last),
            node("Add", &["mean", "epsilon"], &["more"], &[]),
            node("Sqrt", &["more"], &["root"], &[]),
            node("Div", &["x", "root"], &["y"], &[]),
        ],
        initializers: vec![Constant::f32("epsilon", vec![], &[epsilon])],
        ..Graph::default()
    }
}

#[track_caller]
fn worst_of(graphs: [Graph; 2]) -> Option<String> {
    let pair = Folder::new().pair(Kind::Same, graphs, &request()).unwrap();
    let mut places = pair.rows.iter().filter(|r| r.decides && !r.holds);
    assert_eq!(pair.holds, places.clone().next().is_none());
    let place = places.next()?.worst.clone();
    place.map(|p| p.case)
}

#[test]
fn frames_of_zeros_are_drawn() {
    let case = worst_of([gated(None), gated(Some(1e-20))]);
    assert!(
        case.clone().unwrap().contains("frames of zeros"),
        "{case:?}"
    );
    assert_eq!(worst_of([gated(Some(1e-20)), gated(Some(1e-20))]), None);
}

#[test]
fn small_inputs_are_drawn() {
    let case = worst_of([gated(None), gated(Some(1e-11))]);
    assert!(case.is_some());
    let case = worst_of([normed(1e-9), normed(2e-9)]);
    assert!(case.clone().unwrap().contains("as small"), "{case:?}");
}

/// A frame of zeros over its own size is no number in either file, and no word against them.
#[test]
fn what_has_no_number_in_a_frame_of_zeros_holds() {
    let mut graph = normed(0.0);
    graph.initializers[0] = Constant::f32("epsilon", vec![], &[0.0]);
    assert_eq!(worst_of([graph.clone(), graph]), None);
}

/// A constant that was folded is one rounding, as large as its terms were: beside small inputs nothing is smaller than that.
#[test]
fn folded_constants_hold_at_any_size() {
    let of = |folded: bool| {
        let mut rng = Rng::named(3, "folded");
        let mut some = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal() as f32).collect() };
        let (w, b, s, c) = (some(9), some(3), some(3), some(3));
        let each = |f: &dyn Fn(usize) -> f32, n: usize| (0..n).map(f).collect::<Vec<f32>>();
        let (w2, b2) = (
            each(&|i| w[i] * s[i % 3], 9),
            each(&|i| b[i] * s[i] - c[i], 3),
        );
        let constant = |name: &str, dims: &[i64], v: &[f32]| Constant::f32(name, dims.to_vec(), v);
        let nodes = match folded {
            true => vec![
                node("MatMul", &["x", "w2"], &["p"], &[]),
                node("Add", &["p", "b2"], &["y"], &[]),
            ],
            false => vec![
                node("MatMul", &["x", "w"], &["p"], &[]),
                node("Add", &["p", "b"], &["q"], &[]),
                node("Mul", &["q", "s"], &["r"], &[]),
                node("Sub", &["r", "c"], &["y"], &[]),
            ],
        };
        Graph {
            inputs: vec![floats("x", "B,T,3")],
            outputs: vec![floats("y", "B,T,3")],
            nodes,
            initializers: vec![
                constant("w", &[3, 3], &w),
                constant("b", &[3], &b),
                constant("s", &[3], &s),
                constant("c", &[3], &c),
                constant("w2", &[3, 3], &w2),
                constant("b2", &[3], &b2),
            ],
            ..Graph::default()
        }
    };
    assert_eq!(worst_of([of(true), of(false)]), None);
}
