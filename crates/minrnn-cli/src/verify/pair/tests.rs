//! Graphs in float64, the yardstick, and files without a float64 form.

use std::path::Path;

use minrnn_model::rng::Rng;
use minrnn_onnx::build::Builder;
use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Tensor as Constant};

use super::yardstick::Yardstick;
use super::*;

fn write(dir: &Path, name: &str, graph: Graph) -> std::path::PathBuf {
    let path = dir.join(name);
    let opsets = vec![(String::new(), 17)];
    let model = Model {
        ir_version: 8,
        opsets,
        graph,
        ..Model::default()
    };
    std::fs::write(&path, model.encode()).unwrap();
    path
}

/// `y = f(x)`, `x [b, t, 2]`; with `two` the file of one step.
fn unary(op: &'static str, step: bool) -> Graph {
    let mut b = Builder::new("unary");
    let mut dims = vec![Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(2)];
    if step {
        dims.remove(1);
    }
    let x = b.input("x", DType::F32, dims.clone());
    let y = b.node(op, &[x], vec![]);
    b.output("y", y, DType::F32, dims);
    b.finish().unwrap()
}

#[test]
fn what_is_written_out_in_float64_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let at = [-40.0, -3.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 90.0];
    let x = Tensor {
        shape: vec![1, 5, 2],
        values: at.to_vec(),
    };
    let erf = [
        -1.0,
        -0.999_977_909_503_001_4,
        -0.520_499_877_813_046_5,
        0.0,
        0.520_499_877_813_046_5,
        0.842_700_792_949_714_9,
        0.995_322_265_018_952_7,
        0.999_977_909_503_001_4,
        1.0,
        1.0,
    ];
    let all: [(&str, Vec<f64>); 3] = [
        (
            "Sigmoid",
            at.iter().map(|x: &f64| 1.0 / (1.0 + (-x).exp())).collect(),
        ),
        (
            "Softplus",
            at.iter()
                .map(|x: &f64| x.max(0.0) + (-x.abs()).exp().ln_1p())
                .collect(),
        ),
        ("Erf", erf.to_vec()),
    ];
    for (op, want) in all {
        let file = GraphFile::open(&write(dir.path(), "a.onnx", unary(op, false))).unwrap();
        let got = file
            .run(Arithmetic::Wide, &[("x", &x)], &["y"])
            .unwrap()
            .remove(0);
        for (g, w) in got.values.iter().zip(&want) {
            assert!(
                (g - w).abs() <= 1e-15 + 1e-14 * w.abs(),
                "{op}: {g} for {w}"
            );
        }
    }
}

#[test]
fn the_smaller_distance_measures() {
    let case = Case {
        batch: 1,
        time: 10,
        data: vec![],
        states: None,
    };
    let ran = |v: f64| Ran {
        outputs: vec![Tensor {
            shape: vec![1],
            values: vec![v],
        }],
        states: vec![],
    };
    let mut yard = Yardstick::new(None);
    let eps = f64::from(f32::EPSILON);
    assert_eq!(
        yard.tolerance(&case, 0, 2.0),
        4.0 * eps * 14.0 * 2.0,
        "nothing measured"
    );
    yard.learn(0, &case, &ran(0.0), &ran(2.0));
    yard.learn(1, &case, &ran(2.25), &ran(2.0));
    assert_eq!(
        yard.tolerance(&case, 0, 2.0),
        4.0 * (0.5 + 8.0 * eps),
        "a file that is far off does not widen it"
    );
    yard.learn(1, &case, &ran(f64::NAN), &ran(2.0));
    assert_eq!(
        yard.tolerance(&case, 0, 2.0),
        4.0 * (4.0 + 8.0 * eps),
        "what is no number measures nothing"
    );
    assert_eq!(Yardstick::new(Some(0.5)).tolerance(&case, 0, 2.0), 0.5);
}

#[test]
fn pieces_add_up() {
    let mut rng = Rng::named(1, "pieces");
    for time in [1, 2, 5, 100, 1024, 70_000] {
        let all = pieces(time, &mut rng);
        assert_eq!(all.iter().sum::<usize>(), time);
        assert!(all.iter().all(|p| LENGTHS.contains(p)));
    }
}

/// Time is found where dimensions have names, and asked for where they have none.
#[test]
fn time_is_found_or_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let graph = |dims: &[Dim]| {
        let mut g = unary("Tanh", false);
        for v in g.inputs.iter_mut().chain(&mut g.outputs) {
            v.dims = Some(dims.to_vec());
        }
        g
    };
    let (b, t, two) = (Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(2));
    let step = write(dir.path(), "step.onnx", graph(&[b.clone(), two.clone()]));
    let open = |dims: &[Dim], request: &Request| {
        let path = write(dir.path(), "whole.onnx", graph(dims));
        Two::open(&path, &step, Kind::Step, request)
            .map(|two| (two.face.links[0].time(), two.times[0]))
    };
    let request = Request::default();
    assert_eq!(
        open(&[b.clone(), t.clone(), two.clone()], &request).unwrap(),
        (Some(1), (Some(1), true))
    );
    assert_eq!(
        open(&[t, b, two.clone()], &request).unwrap(),
        (Some(0), (Some(0), true))
    );
    let unnamed = [Dim::Unknown, Dim::Unknown, two];
    let error = open(&unnamed, &request).unwrap_err().to_string();
    assert!(
        error.contains("time may be any of the axes [0, 1]"),
        "{error}"
    );
    let mut said = Request::default();
    said.inputs.extend([input_spec("x=B,T,2").unwrap()]);
    assert_eq!(open(&unnamed, &said).unwrap(), (Some(1), (Some(1), true)));
}

/// Weights in a file beside cannot be widened: the other measure is taken, and the report says so.
#[test]
fn files_without_a_float64_form_are_compared_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("w.bin"),
        [0.5f32, -2.0].map(f32::to_le_bytes).concat(),
    )
    .unwrap();
    let graph = |step: bool, factor: f32| {
        let mut g = unary("Mul", step);
        g.nodes[0].inputs.push("w".into());
        let mut w = Constant::f32("w", vec![2], &[0.5, -2.0]);
        if factor == 1.0 {
            w.data = minrnn_onnx::ir::TensorData::External(minrnn_onnx::ir::External {
                location: "w.bin".into(),
                ..Default::default()
            });
        } else {
            w = Constant::f32("w", vec![2], &[0.5 * factor, -2.0]);
        }
        g.initializers.push(w);
        g
    };
    let request = Request {
        longest: Some(3),
        ..Request::default()
    };
    let whole = write(dir.path(), "whole.onnx", graph(false, 1.0));
    let step = write(dir.path(), "step.onnx", graph(true, 1.0));
    let pair = compare(&whole, &step, Kind::Step, &request, &mut |_, _, _| ()).unwrap();
    assert!(
        pair.holds && pair.notes.iter().any(|n| n.contains("eps (4 + T)")),
        "{pair:?}"
    );
    let wrong = write(dir.path(), "wrong.onnx", graph(true, 1.001));
    let request = Request {
        bisect: true,
        ..request
    };
    let pair = compare(&whole, &wrong, Kind::Step, &request, &mut |_, _, _| ()).unwrap();
    assert!(!pair.holds, "{pair:?}");
    let culprit = pair.bisect.unwrap();
    assert_eq!((culprit.operator.as_str(), culprit.step), ("Mul", Some(0)));
}

/// The axis of a running sum is a tensor of one value; only its rank is changed.
#[test]
fn a_running_sum_is_the_same_with_either_rank_of_its_axis() {
    let dir = tempfile::tempdir().unwrap();
    let graph = |dims: Vec<i64>| {
        let mut b = Builder::new("sum");
        let axis = b.param(Constant::i64("axis", dims, &[1]));
        let shape = vec![Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(2)];
        let x = b.input("x", DType::F32, shape.clone());
        let y = b.node("CumSum", &[x, axis], vec![("exclusive", Attr::Int(0))]);
        b.output("y", y, DType::F32, shape);
        b.finish().unwrap()
    };
    let x = Tensor {
        shape: vec![1, 3, 2],
        values: vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0],
    };
    for (dims, notes) in [(vec![], 0), (vec![1], 1)] {
        let file = GraphFile::open(&write(dir.path(), "sum.onnx", graph(dims))).unwrap();
        assert_eq!(file.notes.len(), notes);
        for how in [Arithmetic::AsFiled, Arithmetic::Wide] {
            let got = file.run(how, &[("x", &x)], &["y"]).unwrap().remove(0);
            assert_eq!(got.values, [1.0, 10.0, 3.0, 30.0, 6.0, 60.0]);
        }
    }
}
