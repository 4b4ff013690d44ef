//! What two right files may be apart, and what is found in them.

mod ahead;
mod apart;
mod backward;
mod beyond;
mod cases;
mod counters;
mod drawn;
mod each;
mod ends;
mod far;
mod folded;
pub(super) mod graphs;
mod grown;
mod guesses;
mod left;
mod looked_for;
mod memories;
mod memory;
mod noise;
mod norms;
mod pasts;
mod people;
mod quiet;
mod ragged;
mod ranges;
mod scales;
mod spans;
mod still;
mod tables;
mod together;
mod totals;

use minrnn_model::rng::Rng;
use minrnn_onnx::builder::Builder;
use minrnn_onnx::ir::{DType, Dim, Graph, Tensor as Constant};

use super::check::Check;
use super::port::Elem;
use super::rounding::{Held, Rounding};
use super::sizes::{LENGTHS, pieces};
use super::*;
use graphs::Folder;

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
fn the_smaller_cost_measures() {
    let mut costs = Rounding::new(None, vec![]);
    let eps = f64::from(f32::EPSILON);
    let case = Case {
        batch: 1,
        time: 10,
        others: vec![],
        data: vec![],
        states: None,
        lengths: None,
        ends: vec![],
        own: true,
        draw: Draw::Usual,
    };
    let of = |costs: &Rounding, held| costs.allowed(held, &case, 0, [Elem::F32; 2]).of(0, 2.0).0;
    assert_eq!(
        of(&costs, Held::Rounded),
        4.0 * (2.0 * 10.0 * eps * 2.0 + 8.0 * eps),
        "nothing measured"
    );
    costs.saw(0, 10, (2.0, 2.0));
    costs.saw(1, 10, (2.0, 0.25));
    assert_eq!(
        of(&costs, Held::Meaning),
        0.5 + 8.0 * eps,
        "a file that is far off does not widen it"
    );
    assert_eq!(of(&costs, Held::Rounded), 4.0 * (0.5 + 8.0 * eps));
    assert_eq!(
        of(&costs, Held::Engine(0)),
        4.0 * (4.0 + 8.0 * eps),
        "an engine is held to its own file"
    );
    costs.saw(1, 10, (2.0, f64::INFINITY));
    assert_eq!(
        of(&costs, Held::Meaning),
        0.5 + 8.0 * eps,
        "what is no number measures nothing"
    );
    costs.saw(1, 1000, (2.0, 5.0));
    assert_eq!(
        of(&costs, Held::Meaning),
        0.5 + 8.0 * eps,
        "a long run does not excuse a short one"
    );
    let given = Rounding::new(Some(0.5), vec![]);
    assert_eq!(of(&given, Held::Meaning), 0.5);
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
    let folder = Folder::new();
    let graph = |dims: &[Dim]| {
        let mut g = unary("Tanh", false);
        for v in g.inputs.iter_mut().chain(&mut g.outputs) {
            v.dims = Some(dims.to_vec());
        }
        g
    };
    let (b, t, two) = (Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(2));
    let step = folder.write("step.onnx", graph(&[b.clone(), two.clone()]));
    let open = |dims: &[Dim], request: &Request| {
        let path = folder.write("whole.onnx", graph(dims));
        Two::open(&path, &step, Kind::Step, request).map(|two| {
            (
                two.face.links[0].time(),
                two.shapes[0].time,
                two.face.links[0].lacks,
            )
        })
    };
    let request = Request::default();
    assert_eq!(
        open(&[b.clone(), t.clone(), two.clone()], &request).unwrap(),
        (Some(1), Some(1), [false, true])
    );
    assert_eq!(
        open(&[t, b, two.clone()], &request).unwrap(),
        (Some(0), Some(0), [false, true])
    );
    let unnamed = [Dim::Unknown, Dim::Unknown, two];
    let error = open(&unnamed, &request).unwrap_err().to_string();
    assert!(
        error.contains("time may be any of the axes [0, 1]"),
        "{error}"
    );
    let mut said = Request::default();
    said.inputs.extend([input_spec("x=B,T,2").unwrap()]);
    assert_eq!(
        open(&unnamed, &said).unwrap(),
        (Some(1), Some(1), [false, true])
    );
}

/// Weights in a file beside are the file's own.
#[test]
fn weights_in_a_file_beside_are_judged() {
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("w.bin"),
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
    let whole = folder.write("whole.onnx", graph(false, 1.0));
    let step = folder.write("step.onnx", graph(true, 1.0));
    let pair = compare(&whole, &step, Kind::Step, &request, &mut |_, _, _| ()).unwrap();
    assert!(pair.holds, "{pair:?}");
    let wrong = folder.write("wrong.onnx", graph(true, 1.001));
    let request = Request {
        bisect: true,
        ..request
    };
    let pair = compare(&whole, &wrong, Kind::Step, &request, &mut |_, _, _| ()).unwrap();
    assert!(!pair.holds, "{pair:?}");
    let culprit = pair.bisect.unwrap();
    assert_eq!((culprit.operator.as_str(), culprit.step), ("Mul", Some(0)));
}
