//! Two readings, and decisions within rounding.

use super::nodes::{f32s, model};
use crate::eval::{Array, Carried, Inputs, Limits, Output, Session};
use crate::ir::{DType, Graph, Model, Node, Tensor, ValueInfo};

fn graph(steps: &[(&str, &[&str], &str)], constants: Vec<Tensor>, output: &str) -> Session {
    graph_of(17, steps, constants, output)
}

fn graph_of(
    opset: i64,
    steps: &[(&str, &[&str], &str)],
    constants: Vec<Tensor>,
    output: &str,
) -> Session {
    let nodes = steps.iter().map(|(op, inputs, output)| Node {
        op_type: (*op).into(),
        inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
        outputs: vec![(*output).into()],
        ..Node::default()
    });
    let info = |name: &str| ValueInfo {
        name: name.into(),
        ..ValueInfo::default()
    };
    let model = Model {
        opsets: vec![(String::new(), opset)],
        graph: Graph {
            inputs: vec![info("x")],
            outputs: vec![info(output)],
            nodes: nodes.collect(),
            initializers: constants,
            ..Graph::default()
        },
        ..Model::default()
    };
    Session::open(&model, None).unwrap()
}

fn x(v: &[f64]) -> Inputs {
    [(
        "x".to_owned(),
        Array::from_floats(DType::F32, &[v.len()], v).unwrap(),
    )]
    .into()
}

#[test]
fn floats_are_kept_unrounded_and_rounded() {
    let session = graph(&[("Exp", &["x"], "y")], vec![], "y");
    let out = session.run(&x(&[1.0]), &Limits::default()).unwrap();
    let y = out.get("y").unwrap();
    assert_eq!(y.exact().floats().unwrap(), [1f64.exp()]);
    assert_eq!(
        y.rounded().floats().unwrap(),
        [f64::from(1f64.exp() as f32)]
    );
    assert_eq!(y.stepwise(), &y.rounded());
    assert!(y.edges().is_empty());
}

/// What adds up inside of one operator is rounded at each step in one reading, and in none of float64's, whatever it reads.
#[test]
fn running_totals_are_kept_unrounded() {
    let tenth = f64::from(0.1f32);
    for (op, want) in [("CumSum", 3.0 * tenth), ("CumProd", tenth * tenth * tenth)] {
        let axis = Tensor::i64("axis", vec![], &[0]);
        let session = graph_of(26, &[(op, &["x", "axis"], "y")], vec![axis], "y");
        let out = session.run(&x(&[tenth; 3]), &Limits::default()).unwrap();
        let y = out.get("y").unwrap();
        let exact = y.exact().floats().unwrap()[2];
        assert!((exact - want).abs() < 1e-16, "{op}: {exact}, wanted {want}");
        let steps = y.stepwise().floats().unwrap()[2];
        assert_eq!(steps, f64::from(steps as f32), "{op}");
        assert_ne!(steps, exact, "{op}");
    }
}

/// The mean of one entry is the entry: what is left is the bias, and what an engine's `x k + (bias - mean k)` rounds, which is as much
/// as that of many entries that are alike.
#[test]
fn a_normalisation_of_one_entry_rounds_as_one_of_many() {
    let single = |v: f64| f64::from(v as f32);
    let x = [0.3f32, -1.7, 2.9];
    let scale = f32s(&[3], &[1.3, -0.7, 2.1].map(single));
    let bias = f32s(&[3], &[0.1, 0.2, -0.3].map(single));
    let cost = |op: &str, opset: i64, dims: &[usize], times: usize, fused: bool| -> f64 {
        let values: Vec<f64> = x.iter().flat_map(|v| vec![f64::from(*v); times]).collect();
        let groups = [("num_groups", crate::ir::Attr::Int(3))];
        let attributes = match op {
            "GroupNormalization" => &groups[..],
            _ => &[],
        };
        let (scale, bias) = match op {
            "LayerNormalization" => (f32s(&[1], &[single(1.3)]), f32s(&[1], &[single(0.1)])),
            _ => (scale.clone(), bias.clone()),
        };
        let node = Node {
            op_type: op.into(),
            inputs: ["x", "s", "b"].map(String::from).into(),
            outputs: vec!["y".into()],
            attributes: attributes
                .iter()
                .map(|(n, a)| ((*n).to_owned(), a.clone()))
                .collect(),
            ..Node::default()
        };
        let given = [("x", f32s(dims, &values)), ("s", scale), ("b", bias)];
        let given = given.map(|(n, v)| (n.to_owned(), Output::known(v.unwrap())));
        let session = Session::open(&model(node, opset), None).unwrap();
        let inputs = Carried::from(given);
        let limits = Limits::default();
        let out = match fused {
            true => session.fused(&inputs, &limits).unwrap(),
            false => session.run_on(&inputs, &limits).unwrap(),
        };
        let y = out.get("y").unwrap();
        let (a, b) = (y.exact().floats().unwrap(), y.stepwise().floats().unwrap());
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    // 2.9 * 2.1 / sqrt(1e-5), and one rounding of it.
    let most = 2.9 * 2.1 / 1e-5f64.sqrt() * f64::from(f32::EPSILON);
    for (op, opset, one, many) in [
        ("InstanceNormalization", 17, &[1, 3, 1][..], &[1, 3, 4][..]),
        ("GroupNormalization", 21, &[1, 3, 1], &[1, 3, 4]),
        ("LayerNormalization", 17, &[3, 1], &[3, 4, 1]),
    ] {
        // In no file: a result alone is rounded.
        assert!(cost(op, opset, one, 1, false) < 1e-7, "{op}");
        let (one, many) = (
            cost(op, opset, one, 1, true),
            cost(op, opset, many, 4, true),
        );
        assert!(one > most / 100.0 && one <= most, "{op}: {one} of {most}");
        assert_eq!(one, many, "{op}");
    }
}

/// 10 * 0.1 is 1 in f32 and a little more in float64: Ceil reads the rounded one, and both sides are told.
#[test]
fn what_decides_reads_the_rounded_value() {
    let tenth = Tensor::f32("tenth", vec![], &[0.1]);
    let session = graph(
        &[("Mul", &["x", "tenth"], "m"), ("Ceil", &["m"], "y")],
        vec![tenth],
        "y",
    );
    let out = session.run(&x(&[10.0, 7.0]), &Limits::default()).unwrap();
    let y = out.get("y").unwrap();
    assert_eq!(y.exact().floats().unwrap(), [1.0, 1.0]);
    let edges = y.edges();
    assert_eq!(edges.len(), 1);
    assert_eq!(
        (edges[0].position, edges[0].other.floats().unwrap()),
        (0, &[2.0][..])
    );
}

/// An edge is carried through what follows: also where it only picks.
#[test]
fn an_edge_reaches_the_output() {
    let tenth = Tensor::f32("tenth", vec![], &[0.1]);
    let one = Tensor::f32("one", vec![], &[1.0]);
    let steps: &[(&str, &[&str], &str)] = &[
        ("Mul", &["x", "tenth"], "m"),
        ("Greater", &["m", "one"], "c"),
        ("Neg", &["x"], "n"),
        ("Where", &["c", "x", "n"], "y"),
    ];
    let session = graph(steps, vec![tenth, one], "y");
    let out = session
        .run(&x(&[10.0, 20.0, 3.0]), &Limits::default())
        .unwrap();
    let y = out.get("y").unwrap();
    assert_eq!(y.exact().floats().unwrap(), [-10.0, 20.0, -3.0]);
    let edges = y.edges();
    assert_eq!(edges.len(), 1);
    assert_eq!(
        (edges[0].position, edges[0].other.floats().unwrap()),
        (0, &[10.0][..])
    );
}

/// The largest two are apart by less than their rounding.
#[test]
fn a_near_tie_of_arg_max_is_an_edge() {
    let third = Tensor::f32("third", vec![3], &[1.0, 1.0 + f32::EPSILON, -4.0]);
    let session = graph(
        &[
            ("Exp", &["x"], "e"),
            ("Mul", &["e", "third"], "m"),
            ("ArgMax", &["m"], "y"),
        ],
        vec![third],
        "y",
    );
    let near = session
        .run(&x(&[1.3, 1.3, 1.3]), &Limits::default())
        .unwrap();
    assert_eq!(near.get("y").unwrap().edges().len(), 1);
    let far = session
        .run(&x(&[1.3, 1.8, 1.3]), &Limits::default())
        .unwrap();
    assert!(far.get("y").unwrap().edges().is_empty());
}

/// What f16 cannot hold is not kept: the standard rounds there.
#[test]
fn halves_are_rounded_where_they_are_made() {
    let to = crate::ir::Attr::Int(i64::from(DType::F16.code()));
    let out = super::nodes::run(
        "Cast",
        17,
        &[("to", to)],
        &[super::nodes::f32s(&[1], &[0.1])],
        1,
    )
    .unwrap();
    let y = out.get("y0").unwrap();
    assert_eq!(
        y.exact().floats().unwrap(),
        [half::f16::from_f32(0.1).to_f64()]
    );
}

/// A maximum and what it was found among are one value: no rounding tells them apart. What is near it is on an edge as ever.
#[test]
fn one_value_twice_is_no_edge() {
    let of = |op: &str, values: &[f64]| {
        let steps: [(&str, &[&str], &str); 4] = [
            ("Exp", &["x"], "a"),
            ("ReduceMax", &["a"], "m"),
            (op, &["a", "m"], "is"),
            ("Where", &["is", "a", "zero"], "y"),
        ];
        let session = graph(&steps, vec![Tensor::f32("zero", vec![], &[0.0])], "y");
        let out = session.run(&x(values), &Limits::default()).unwrap();
        out.get("y").unwrap().edges().len()
    };
    for op in ["Equal", "GreaterOrEqual", "Less"] {
        assert_eq!(of(op, &[0.3, 1.1, -0.7]), 0, "{op}");
    }
    let next = f64::from(f32::from_bits(1.1f32.to_bits() + 1));
    assert_eq!(of("GreaterOrEqual", &[0.3, f64::from(1.1f32), next]), 1);
}

/// Steps that are counted in floats are whole numbers, and no rounding moves them.
#[test]
fn counted_steps_are_no_edge() {
    let steps: [(&str, &[&str], &str); 6] = [
        ("Exp", &["x"], "a"),
        ("Mul", &["a", "zero"], "none"),
        ("Add", &["none", "one"], "ones"),
        ("CumSum", &["ones", "axis"], "n"),
        ("Less", &["n", "limit"], "is"),
        ("Where", &["is", "a", "zero"], "y"),
    ];
    let above = f32::from_bits(2f32.to_bits() + 1);
    let constants = vec![
        Tensor::f32("zero", vec![], &[0.0]),
        Tensor::f32("one", vec![], &[1.0]),
        Tensor::f32("limit", vec![], &[above]),
        Tensor::i64("axis", vec![], &[0]),
    ];
    let session = graph(&steps, constants, "y");
    let out = session
        .run(&x(&[0.3, 1.1, -0.7]), &Limits::default())
        .unwrap();
    assert!(out.get("y").unwrap().edges().is_empty());
}

/// Where terms cancel in a sum, what an engine rounds is as large as they are: a row of such a sum moves by its last place, not by that of
/// what is left.
#[test]
fn sums_move_by_their_row() {
    let steps: [(&str, &[&str], &str); 1] = [("MatMul", &["x", "w"], "y")];
    // The second column cancels: 3 x[0] - x[1] is 0.
    let w = Tensor::f32("w", vec![2, 2], &[1.0, 3.0, 1.0, -1.0]);
    let session = graph(&steps, vec![w], "y");
    let given = x(&[1.0, 3.0]).into_iter();
    let given: Carried = given.map(|(name, x)| (name, Output::known(x))).collect();
    let moved = |seed| {
        let out = session.moved(&given, &Limits::default(), seed).unwrap();
        out.get("y").unwrap().stepwise().floats().unwrap()[1].abs()
    };
    let most = (0..8).map(moved).fold(0.0, f64::max);
    assert!(most > 1e-8 && most < 1e-6, "{most}");
}
