//! What holds between operators.

use proptest::prelude::*;

use super::nodes::{f32s, floats, i64s, run};
use crate::eval::Array;
use crate::ir::{Attr, Graph, Node, ValueInfo};

fn word(w: &str) -> Attr {
    Attr::Str(w.as_bytes().to_vec())
}

fn values(count: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec((-64i32..64).prop_map(|n| f64::from(n) / 16.0), count)
}

/// A body of one node with these inputs and outputs.
pub(super) fn body(inputs: &[&str], nodes: &[(&str, &[&str], &str)], outputs: &[&str]) -> Attr {
    let info = |n: &&str| ValueInfo {
        name: (*n).into(),
        ..ValueInfo::default()
    };
    let node = |(op, inputs, output): &(&str, &[&str], &str)| Node {
        op_type: (*op).into(),
        inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
        outputs: vec![(*output).into()],
        ..Node::default()
    };
    Attr::Graph(Box::new(Graph {
        inputs: inputs.iter().map(info).collect(),
        outputs: outputs.iter().map(info).collect(),
        nodes: nodes.iter().map(node).collect(),
        ..Graph::default()
    }))
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + b.abs()))
}

proptest! {
    #[test]
    fn a_product_is_an_einsum(a in values(2 * 3 * 4), b in values(2 * 4 * 2)) {
        let inputs = [f32s(&[2, 3, 4], &a), f32s(&[2, 4, 2], &b)];
        let product = floats("MatMul", 13, &[], &inputs);
        let sum = floats("Einsum", 13, &[("equation", word("bij,bjk->bik"))], &inputs);
        prop_assert!(close(&product, &sum));
        let implicit = floats("Einsum", 13, &[("equation", word("...ij, ...jk"))], &inputs);
        prop_assert!(close(&product, &implicit));
    }

    #[test]
    fn a_scan_that_adds_is_a_cumulative_sum(x in values(5 * 2), back: bool) {
        let cells = body(&["s", "x"], &[("Add", &["s", "x"], "t"), ("Identity", &["t"], "y")], &["t", "y"]);
        let back = i64::from(back);
        let attributes = [
            ("body", cells),
            ("num_scan_inputs", Attr::Int(1)),
            ("scan_input_axes", Attr::Ints(vec![-1])),
            ("scan_output_axes", Attr::Ints(vec![-1])),
            ("scan_input_directions", Attr::Ints(vec![back])),
            ("scan_output_directions", Attr::Ints(vec![back])),
        ];
        let x = f32s(&[2, 5], &x);
        let scanned = run("Scan", 17, &attributes, &[f32s(&[2], &[0.0, 0.0]), x.clone()], 2).unwrap();
        let sums = floats("CumSum", 17, &[("reverse", Attr::Int(back))], &[x, i64s(&[], &[1])]);
        prop_assert!(close(scanned.get("y1").unwrap().exact().floats().unwrap(), &sums));
    }

    #[test]
    fn a_loop_that_adds_its_count(most in 1i64..9) {
        let add = body(
            &["i", "go", "s"],
            &[("Identity", &["go"], "again"), ("Add", &["s", "i"], "t"), ("Identity", &["t"], "y")],
            &["again", "t", "y"],
        );
        let out = run("Loop", 17, &[("body", add)], &[i64s(&[], &[most]), None, i64s(&[], &[0])], 2).unwrap();
        let sum = i128::from(most * (most - 1) / 2);
        prop_assert_eq!(out.get("y0").unwrap().exact().ints().unwrap(), [sum]);
        prop_assert_eq!(out.get("y1").unwrap().exact().dims(), [most as usize]);
    }

    #[test]
    fn parts_joined_are_the_whole(x in values(12), at in 0i64..4) {
        let whole = f32s(&[3, 4], &x);
        let out = run("Split", 13, &[("axis", Attr::Int(-1))], &[whole, i64s(&[2], &[at, 4 - at])], 2).unwrap();
        let parts: Vec<Option<Array>> = ["y0", "y1"].map(|n| out.get(n).map(|v| v.exact().clone())).into();
        prop_assert_eq!(floats("Concat", 13, &[("axis", Attr::Int(1))], &parts), x);
    }

    /// `direction = reverse` is forward over time the other way round.
    #[test]
    fn reverse_is_forward_backwards(x in values(4 * 2), w in values(3 * 2 * 2), r in values(3 * 2 * 2), b in values(12)) {
        let weights = [f32s(&[1, 6, 2], &w), f32s(&[1, 6, 2], &r), f32s(&[1, 12], &b)];
        let gru = |direction: &str, x: &[f64]| {
            let x = f32s(&[4, 1, 2], x);
            let inputs: Vec<_> = std::iter::once(x).chain(weights.iter().cloned()).collect();
            let attributes = [("direction", word(direction)), ("linear_before_reset", Attr::Int(1))];
            floats("GRU", 17, &attributes, &inputs)
        };
        let turned = |v: &[f64]| v.chunks(2).rev().flatten().copied().collect::<Vec<f64>>();
        prop_assert_eq!(turned(&gru("reverse", &x)), gru("forward", &turned(&x)));
    }

    #[test]
    fn quantised_values_are_within_half_a_step(x in values(6)) {
        let scale = f32s(&[], &[0.0625]);
        let q = run("QuantizeLinear", 13, &[], &[f32s(&[6], &x), scale.clone(), None], 1);
        let zero = Array::from_ints(crate::ir::DType::I8, &[], &[0]).unwrap();
        let signed = run("QuantizeLinear", 13, &[], &[f32s(&[6], &x), scale.clone(), Some(zero.clone())], 1).unwrap();
        prop_assert!(q.is_ok());
        let q = signed.get("y0").unwrap().exact().clone();
        let back = floats("DequantizeLinear", 13, &[], &[Some(q), scale, Some(zero)]);
        prop_assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() <= 0.03125));
    }

    #[test]
    fn attention_is_softmax_of_products(q in values(6), k in values(8), v in values(8)) {
        let (q3, k4, v4) = (f32s(&[1, 1, 3, 2], &q), f32s(&[1, 1, 4, 2], &k), f32s(&[1, 1, 4, 2], &v));
        let got = floats("Attention", 23, &[("scale", Attr::Float(1.0))], &[q3, k4, v4]);
        let mut want = vec![];
        for q in q.chunks(2) {
            let e: Vec<f64> = k.chunks(2).map(|k| (q[0] * k[0] + q[1] * k[1]).exp()).collect();
            let total: f64 = e.iter().sum();
            for j in 0..2 {
                want.push(e.iter().zip(v.chunks(2)).map(|(e, v)| e / total * v[j]).sum());
            }
        }
        prop_assert!(close(&got, &want));
    }
}

/// Before opset 13 Softmax is over all axes from its axis on; the default is 1, not the last.
#[test]
fn softmax_before_and_from_opset_13() {
    let x = || f32s(&[1, 2, 2], &[0.0, 0.0, 0.0, 0.0]);
    assert_eq!(floats("Softmax", 12, &[], &[x()]), [0.25; 4]);
    assert_eq!(floats("Softmax", 13, &[], &[x()]), [0.5; 4]);
}

/// The largest of nothing is the other end of the type, the sum of nothing is 0.
#[test]
fn reductions_of_nothing() {
    let none = || f32s(&[2, 0], &[]);
    let axes = || i64s(&[1], &[1]);
    assert_eq!(
        floats("ReduceMax", 18, &[], &[none(), axes()]),
        [f64::NEG_INFINITY; 2]
    );
    assert_eq!(
        floats("ReduceMin", 18, &[], &[none(), axes()]),
        [f64::INFINITY; 2]
    );
    assert_eq!(floats("ReduceSum", 18, &[], &[none(), axes()]), [0.0; 2]);
    assert_eq!(floats("ReduceProd", 18, &[], &[none(), axes()]), [1.0; 2]);
}

/// A query that sees no key gets zeros, not what is no number.
#[test]
fn a_row_that_is_wholly_masked_is_zero() {
    let q = f32s(&[1, 1, 1, 2], &[1.0, 2.0]);
    let kv = || f32s(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let mask = Array::from_ints(crate::ir::DType::Bool, &[1, 2], &[0, 0]).ok();
    assert_eq!(
        floats("Attention", 23, &[], &[q, kv(), kv(), mask]),
        [0.0, 0.0]
    );
}

/// With a past, a query sees what came before it.
#[test]
fn causal_attention_counts_from_the_past() {
    let one = |v: f64| f32s(&[1, 1, 1, 1], &[v]);
    let past = f32s(&[1, 1, 1, 1], &[5.0]);
    let inputs = [one(0.0), one(0.0), one(1.0), None, past.clone(), past];
    let out = run("Attention", 23, &[("is_causal", Attr::Int(1))], &inputs, 3).unwrap();
    assert_eq!(out.get("y0").unwrap().exact().floats().unwrap(), [3.0]);
}
