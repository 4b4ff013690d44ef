//! Files of other programs: by named tensors, whatever their types and names of dimensions.

use minrnn_runtime::{AnyModel, Array, Dim as Declared, Elem, ErrorKind, Result, Values};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Attr, Dim, F32, File, Graph, I64, Node, Port, Tensor};
use crate::support::random::Random;
use crate::support::{features, random_state, same_bits};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Node {
        op: op.into(),
        domain: String::new(),
        inputs: names(inputs),
        outputs: names(outputs),
        attrs: vec![],
    }
}

fn port(name: &str, elem: i32, dims: &[Dim]) -> Port {
    Port {
        name: name.into(),
        elem,
        dims: dims.to_vec(),
    }
}

fn file(graph: Graph) -> File {
    File {
        graph,
        props: vec![],
        opset: 17,
    }
}

/// `y = x op w`, `z = -y`, dimensions called as given.
fn small(op: &str, batch: &'static str) -> Graph {
    let dims = [Dim::S(batch), Dim::N(3)];
    Graph {
        inputs: vec![port("x", F32, &dims)],
        outputs: vec![port("z", F32, &dims)],
        nodes: vec![node(op, &["x", "w"], &["y"]), node("Neg", &["y"], &["z"])],
        weights: vec![Tensor::f32("w", &[3], &[0.5, -2.0, 3.0])],
        tail: vec![],
    }
}

fn floats(shape: &[usize], values: &[f32]) -> Array {
    Array {
        shape: shape.to_vec(),
        values: Values::F32(values.to_vec()),
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("must be refused").kind()
}

#[test]
fn the_same_as_the_runtime_of_our_files_and_nothing_is_kept() {
    for form in [Form::Scan, Form::Step, Form::KoggeStone(8)] {
        let spec = Spec::gated(form);
        let (model, any) = (
            spec.portable(),
            AnyModel::from_bytes(&spec.bytes()).unwrap(),
        );
        let mut random = Random::new(3);
        let (batch, time) = (2, if matches!(form, Form::Step) { 1 } else { 7 });
        for _ in 0..3 {
            let data = random.values(batch * time * spec.width);
            let state = random_state(&model, batch, &mut random);
            let (want, next) = model
                .run(features(&data, batch, time, spec.width), &state)
                .unwrap();
            let shape = if matches!(form, Form::Step) {
                vec![batch, spec.width]
            } else {
                vec![batch, time, spec.width]
            };
            let h = state.get("state.0.h").unwrap();
            let feeds = [
                ("features", floats(&shape, &data)),
                ("state.0.h", floats(&[batch, spec.d], h)),
            ];
            let got = any.run(&feeds).unwrap();
            for (out, port) in got.iter().zip(any.outputs()) {
                let Values::F32(values) = &out.values else {
                    panic!("{out:?}")
                };
                let of_state = next
                    .get("state.0.h")
                    .filter(|_| port.name == "next_state.0.h");
                same_bits(&port.name, values, of_state.unwrap_or(&want.values));
            }
        }
    }
}

#[test]
fn inner_tensors_come_in_the_order_asked_for() {
    let any = AnyModel::from_bytes(&file(small("Mul", "n")).to_bytes()).unwrap();
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, -4.0, 5.0, -6.0]);
    let y = floats(&[2, 3], &[0.5, -4.0, 9.0, -2.0, -10.0, -18.0]);
    let z = floats(&[2, 3], &[-0.5, 4.0, -9.0, 2.0, 10.0, 18.0]);
    let w = floats(&[3], &[0.5, -2.0, 3.0]);
    let got = any
        .run_for(&[("x", x.clone())], &["z", "y", "w", "z", "x"])
        .unwrap();
    assert_eq!(got, [z.clone(), y, w, z, x.clone()]);
    assert_eq!(
        kind(any.run_for(&[("x", x)], &["nothing"])),
        ErrorKind::Input
    );
    assert!(any.has_tensor("y") && !any.has_tensor("nothing"));
}

#[test]
fn an_unoptimised_plan_computes_the_same() {
    let bytes = Spec::gated(Form::Scan).bytes();
    let fast = AnyModel::from_bytes(&bytes).unwrap();
    let plain = AnyModel::from_bytes(&bytes).unwrap().unoptimised();
    let mut random = Random::new(11);
    let feeds: Vec<(&str, Array)> = fast
        .inputs()
        .iter()
        .map(|p| {
            let shape = if p.name == "features" {
                vec![3, 5, 5]
            } else {
                vec![3, 6]
            };
            (
                p.name.as_str(),
                floats(&shape, &random.values(shape.iter().product())),
            )
        })
        .collect();
    let (a, b) = (fast.run(&feeds).unwrap(), plain.run(&feeds).unwrap());
    for (a, b) in a.iter().zip(&b) {
        let pairs = a.values.to_f64().into_iter().zip(b.values.to_f64());
        assert!(a.shape == b.shape && pairs.into_iter().all(|(x, y)| (x - y).abs() < 1e-5));
    }
}

#[test]
fn names_of_dimensions_are_no_arithmetic_and_are_held_to() {
    for name in ["n", "batch-size", "batch size", "2*k", "?"] {
        let any = AnyModel::from_bytes(&file(small("Add", name)).to_bytes()).unwrap();
        assert_eq!(
            any.inputs()[0].dims.as_ref().unwrap()[0],
            Declared::Symbol(name.into())
        );
        for rows in [1, 2, 7] {
            let got = any
                .run(&[("x", floats(&[rows, 3], &vec![1.0; rows * 3]))])
                .unwrap();
            assert_eq!(got[0].shape, [rows, 3], "{name}");
        }
    }
    let mut graph = small("Add", "n");
    graph.inputs.push(port("v", F32, &[Dim::S("n")]));
    let any = AnyModel::from_bytes(&file(graph).to_bytes()).unwrap();
    let x = || floats(&[2, 3], &[0.0; 6]);
    assert!(
        any.run(&[("x", x()), ("v", floats(&[2], &[0.0; 2]))])
            .is_ok()
    );
    for bad in [
        vec![("x", x()), ("v", floats(&[3], &[0.0; 3]))],
        vec![("x", x())],
        vec![("x", x()), ("x", x())],
        vec![("x", x()), ("v", floats(&[2], &[0.0; 2])), ("u", x())],
        vec![
            ("x", floats(&[2, 4], &[0.0; 8])),
            ("v", floats(&[2], &[0.0; 2])),
        ],
        vec![
            ("x", floats(&[2, 3], &[0.0; 5])),
            ("v", floats(&[2], &[0.0; 2])),
        ],
        vec![("x", floats(&[0, 3], &[])), ("v", floats(&[0], &[]))],
        vec![
            (
                "x",
                Array {
                    shape: vec![2, 3],
                    values: Values::F64(vec![0.0; 6]),
                },
            ),
            ("v", floats(&[2], &[0.0; 2])),
        ],
    ] {
        assert_eq!(kind(any.run(&bad)), ErrorKind::Input, "{bad:?}");
    }
}

#[test]
fn every_element_type_goes_through() {
    let all = [
        (1, Elem::F32, Values::F32(vec![0.1, -2.0, 3e8])),
        (2, Elem::U8, Values::U8(vec![0, 7, 255])),
        (3, Elem::I8, Values::I8(vec![-128, 0, 127])),
        (6, Elem::I32, Values::I32(vec![i32::MIN, 0, i32::MAX])),
        (7, Elem::I64, Values::I64(vec![i64::MIN, 0, i64::MAX])),
        (9, Elem::Bool, Values::Bool(vec![true, false, true])),
        (10, Elem::F16, Values::F32(vec![0.5, -65504.0, 6e-8])),
        (11, Elem::F64, Values::F64(vec![0.1, -2.0, 1e300])),
    ];
    for (code, elem, values) in all {
        let graph = Graph {
            inputs: vec![port("x", code, &[Dim::None])],
            outputs: vec![port("y", code, &[Dim::None])],
            nodes: vec![node("Identity", &["x"], &["y"])],
            weights: vec![],
            tail: vec![],
        };
        let any = AnyModel::from_bytes(&file(graph).to_bytes()).unwrap();
        assert_eq!(any.inputs()[0].elem, Some(elem));
        let x = Array {
            shape: vec![3],
            values,
        };
        let got = any.run(&[("x", x.clone())]).unwrap().remove(0);
        // The smallest f16 is 5.96e-8.
        let want = if elem == Elem::F16 {
            Values::F32(vec![0.5, -65504.0, f32::powi(2.0, -24)])
        } else {
            x.values
        };
        assert_eq!(got.values, want, "{elem:?}");
    }
}

#[test]
fn a_default_value_is_no_input() {
    let mut graph = small("Mul", "n");
    graph.inputs.push(port("w", F32, &[Dim::N(3)]));
    let any = AnyModel::from_bytes(&file(graph).to_bytes()).unwrap();
    assert_eq!(any.inputs().len(), 1);
    let got = any
        .run(&[("x", floats(&[1, 3], &[1.0, 1.0, 1.0]))])
        .unwrap();
    assert_eq!(got[0], floats(&[1, 3], &[-0.5, 2.0, -3.0]));
}

#[test]
fn what_the_engine_cannot_be_trusted_with_is_refused() {
    let refused = |graph: Graph, opset: i64| {
        kind(AnyModel::from_bytes(
            &File {
                opset,
                ..file(graph)
            }
            .to_bytes(),
        ))
    };
    for op in ["Mod", "RandomNormalLike", "Bernoulli"] {
        assert_eq!(refused(small(op, "n"), 17), ErrorKind::Contract, "{op}");
    }
    let mut elsewhere = small("Add", "n");
    elsewhere.nodes[0].domain = "com.example".into();
    assert_eq!(refused(elsewhere, 17), ErrorKind::Contract);
    assert_eq!(refused(small("Add", "n"), 99), ErrorKind::Contract);
    let mut bf16 = small("Add", "n");
    bf16.inputs[0].elem = 16;
    assert_eq!(refused(bf16, 17), ErrorKind::Contract);
    // The engine would abort the process.
    let mut pad = small("Add", "n");
    pad.nodes[1] = node("Pad", &["y", "pads"], &["z"]);
    pad.weights.push(Tensor::i64("pads", &[0, -1, 0, 0]));
    assert_eq!(refused(pad, 17), ErrorKind::Contract);
    // A file beside, outside of the folder.
    let mut external = small("Add", "n");
    external.weights[0].external = true;
    external.weights[0].raw.clear();
    assert_eq!(refused(external, 17), ErrorKind::Contract);
    // An operator that the engine does not know.
    let any = AnyModel::from_bytes(&file(small("Frobnicate", "n")).to_bytes());
    let x = [("x", floats(&[1, 3], &[1.0; 3]))];
    let kinds = [ErrorKind::Load, ErrorKind::Run];
    assert!(kinds.contains(&kind(any.and_then(|m| m.run(&x)))));
    assert_eq!(
        kind(AnyModel::from_bytes(b"no ONNX at all")),
        ErrorKind::Load
    );
    assert_eq!(kind(AnyModel::open("nowhere.onnx")), ErrorKind::Read);
}

#[test]
fn integers_index_tables() {
    let mut gather = node("Gather", &["table", "ids"], &["y"]);
    gather.attrs.push(("axis".into(), Attr::Int(0)));
    let graph = Graph {
        inputs: vec![port("ids", I64, &[Dim::S("n"), Dim::S("t")])],
        outputs: vec![port("y", F32, &[Dim::None, Dim::None, Dim::None])],
        nodes: vec![gather],
        weights: vec![Tensor::f32(
            "table",
            &[3, 2],
            &[0.0, 1.0, 10.0, 11.0, 20.0, 21.0],
        )],
        tail: vec![],
    };
    let any = AnyModel::from_bytes(&file(graph).to_bytes()).unwrap();
    let ids = Array {
        shape: vec![1, 2],
        values: Values::I64(vec![2, 0]),
    };
    assert_eq!(
        any.run(&[("ids", ids)]).unwrap(),
        [floats(&[1, 2, 2], &[20.0, 21.0, 0.0, 1.0])]
    );
}
