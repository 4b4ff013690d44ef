//! Values that go from one run to the next, and loops that do not run at all.

use super::laws::body;
use super::nodes::{f32s, i64s, model, run};
use crate::eval::{Array, Carried, Limits, Output, Session};
use crate::ir::{Attr, DType, Dim, Node};

/// A state carried on in float64 is what one run over all steps has; one that is rounded between is not.
#[test]
fn a_state_is_carried_on_unrounded() {
    let node = Node {
        op_type: "Mul".into(),
        inputs: vec!["x".into(), "x".into()],
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let session = Session::open(&model(node, 17), None).unwrap();
    let limits = Limits::default();
    let x = Array::from_floats(DType::F32, &[2], &[1.1, -0.3]).unwrap();
    let mut now = Output::known(x.clone());
    for _ in 0..3 {
        let inputs = Carried::from([("x".to_owned(), now)]);
        now = session
            .run_on(&inputs, &limits)
            .unwrap()
            .get("y")
            .unwrap()
            .clone();
    }
    let want: Vec<f64> = x.floats().unwrap().iter().map(|x| x.powi(8)).collect();
    let exact = now.exact().floats().unwrap();
    assert!(exact.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-14));
    let steps = now.stepwise().floats().unwrap();
    assert!(steps.iter().all(|s| f64::from(*s as f32) == *s) && steps != exact);
}

#[test]
fn parts_of_a_value_keep_its_readings_and_join_to_it() {
    let x = f32s(&[2, 3], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
    let tanh = run("Tanh", 17, &[], &[Some(x)], 1).unwrap();
    let y = tanh.get("y0").unwrap();
    let parts = [y.part(1, 0, 2).unwrap(), y.part(1, 2, 3).unwrap()];
    assert_eq!(parts[1].dims(), [2, 1]);
    let joined = Output::joined(&parts, 1).unwrap();
    assert_eq!(
        (joined.exact(), joined.stepwise()),
        (y.exact(), y.stepwise())
    );
    assert_ne!(joined.exact(), joined.stepwise());
    assert_eq!(y.reshaped(&[3, 2]).unwrap().dims(), [3, 2]);
    for bad in [y.part(2, 0, 1), y.part(1, 2, 4), y.reshaped(&[7])] {
        assert!(bad.is_err());
    }
    assert!(Output::joined(&[], 0).is_err());
}

/// No steps: states as they are, and outputs of no entries where a step would have put them.
#[test]
fn a_scan_of_no_steps_gives_empty_outputs() {
    let cells = body(
        &["s", "x"],
        &[("Add", &["s", "x"], "t"), ("Concat", &["t", "t"], "y")],
        &["t", "y"],
    );
    let Attr::Graph(mut graph) = cells else {
        unreachable!()
    };
    graph.nodes[1].attributes = vec![("axis".into(), Attr::Int(0))];
    let attributes = [
        ("body", Attr::Graph(graph)),
        ("num_scan_inputs", Attr::Int(1)),
        ("scan_output_axes", Attr::Ints(vec![1])),
    ];
    let inputs = [f32s(&[2], &[5.0, 6.0]), f32s(&[0, 2], &[])];
    let outputs = run("Scan", 17, &attributes, &inputs, 2).unwrap();
    let get = |name| outputs.get(name).unwrap().exact();
    assert_eq!(get("y0").floats().unwrap(), [5.0, 6.0]);
    assert_eq!(
        (get("y1").dims(), get("y1").dtype()),
        (&[4, 0][..], DType::F32)
    );
}

#[test]
fn a_loop_of_no_steps_gives_empty_outputs() {
    let cells = body(
        &["i", "go", "s"],
        &[
            ("Identity", &["go"], "on"),
            ("Identity", &["s"], "t"),
            ("Exp", &["s"], "y"),
        ],
        &["on", "t", "y"],
    );
    let inputs = [i64s(&[], &[0]), None, f32s(&[3], &[1.0, 2.0, 3.0])];
    let outputs = run("Loop", 17, &[("body", cells)], &inputs, 2).unwrap();
    let get = |name| outputs.get(name).unwrap().exact();
    assert_eq!(get("y0").floats().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(get("y1").dims(), [0, 3]);
}

/// Some exporters write -1 for a dimension that is free.
#[test]
fn a_negative_dimension_is_a_free_one() {
    let node = Node {
        op_type: "Neg".into(),
        inputs: vec!["x".into()],
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let mut model = model(node, 17);
    model.graph.inputs[0].dims = Some(vec![Dim::Fixed(-1), Dim::Fixed(2)]);
    model.graph.outputs[0].dims = Some(vec![Dim::Fixed(-1), Dim::Fixed(2)]);
    let session = Session::open(&model, None).unwrap();
    let run = |dims: &[usize], values: &[f64]| {
        let x = Array::from_floats(DType::F32, dims, values).unwrap();
        session.run(&[("x".to_owned(), x)].into(), &Limits::default())
    };
    assert!(run(&[1, 2], &[1.0, 2.0]).is_ok());
    assert!(run(&[1, 3], &[1.0, 2.0, 3.0]).is_err());
}

/// What f16 costs: the standard rounds each of its results, the unrounded run none.
#[test]
fn short_floats_can_be_held_in_float64() {
    let one = |op: &str, inputs: &[&str], output: &str, to: Option<i64>| Node {
        op_type: op.into(),
        inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
        outputs: vec![output.into()],
        attributes: to
            .map(|n| ("to".to_owned(), Attr::Int(n)))
            .into_iter()
            .collect(),
        ..Node::default()
    };
    let mut model = model(one("Mul", &["x", "x"], "y", None), 17);
    model.graph.inputs.truncate(1);
    model.graph.nodes = vec![
        one("Cast", &["x"], "short", Some(10)),
        one("Mul", &["short", "short"], "square", None),
        one("Cast", &["square"], "y", Some(1)),
    ];
    let session = Session::open(&model, None).unwrap();
    let x = f32s(&[1], &[f64::from(1.1f32)]).unwrap();
    let inputs = Carried::from([("x".to_owned(), Output::known(x))]);
    let limits = Limits::default();
    let get = |o: crate::eval::Outputs| o.get("y").unwrap().exact().floats().unwrap()[0];
    let filed = get(session.run_on(&inputs, &limits).unwrap());
    let plain = get(session.unrounded(&inputs, &limits).unwrap());
    assert_eq!(plain, f64::from(1.1f32) * f64::from(1.1f32));
    assert_eq!(filed, half::f16::from_f64(filed).to_f64());
    assert!(filed != plain && (filed - plain).abs() < 2e-3);
}
