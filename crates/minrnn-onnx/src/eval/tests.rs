//! The evaluator against the reference implementation of the ONNX project (`reference.json`, by `reference.py`).

use serde_json::Value;

use super::{Array, Env, graph, ops};
use crate::ir::{Attr, DType, Graph, Node, Tensor};

fn list<T>(value: &Value, one: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(one).collect()
}

fn array(value: &Value) -> Array {
    let dtype = DType::from_code(value["dtype"].as_i64().unwrap() as i32).unwrap();
    let dims = list(&value["dims"], |d| d.as_u64().unwrap() as usize);
    match dtype.is_float() {
        true => Array::floats_of(
            dtype,
            &dims,
            list(&value["values"], |v| v.as_f64().unwrap() as f32),
        ),
        false => Array::ints_of(
            dtype,
            &dims,
            list(&value["values"], |v| v.as_i64().unwrap()),
        ),
    }
}

fn attribute(op: &str, value: &Value) -> Attr {
    match value {
        Value::String(s) => Attr::Str(s.as_bytes().to_vec()),
        Value::Array(_) => Attr::Ints(list(value, |v| v.as_i64().unwrap())),
        Value::Number(n) if n.is_f64() => Attr::Float(n.as_f64().unwrap() as f32),
        Value::Number(n) => Attr::Int(n.as_i64().unwrap()),
        Value::Object(_) => {
            let values = list(&value["values"], |v| v.as_i64().unwrap());
            let dims = list(&value["dims"], |d| d.as_i64().unwrap());
            Attr::Tensor(Tensor::i64("", dims, &values))
        }
        other => panic!("{op}: {other}"),
    }
}

/// Whole tensors: integers exactly, f32 within a few units of its last place, f16 within one.
fn same(what: &str, got: &Array, want: &Array) {
    assert_eq!((got.dtype, &got.dims), (want.dtype, &want.dims), "{what}");
    if !want.dtype.is_float() {
        assert_eq!(got.ints(), want.ints(), "{what}");
        return;
    }
    let unit = if want.dtype == DType::F16 { 1e-3 } else { 2e-6 };
    for (i, (g, w)) in got.floats().iter().zip(want.floats()).enumerate() {
        assert!(
            g == w || (g - w).abs() <= unit * (1.0 + w.abs()),
            "{what}: {g} for {w} at {i}"
        );
    }
}

#[test]
fn operators_agree_with_the_reference() {
    let cases: Value = serde_json::from_str(include_str!("reference.json")).unwrap();
    let cases = cases.as_array().unwrap();
    for (number, case) in cases.iter().enumerate() {
        let op = case["op"].as_str().unwrap();
        let what = format!("{number}: {op}");
        let inputs = list(&case["inputs"], |v| (!v.is_null()).then(|| array(v)));
        let outputs = list(&case["outputs"], array);
        let attributes = case["attributes"].as_object().unwrap().iter();
        let node = Node {
            op_type: op.into(),
            inputs: (0..inputs.len()).map(|i| format!("x{i}")).collect(),
            outputs: (0..outputs.len()).map(|i| format!("y{i}")).collect(),
            attributes: attributes
                .map(|(n, v)| (n.clone(), attribute(op, v)))
                .collect(),
            ..Node::default()
        };
        let call = ops::Call {
            node: &node,
            opset: case["opset"].as_i64().unwrap(),
            inputs: inputs.iter().map(Option::as_ref).collect(),
        };
        let got = ops::apply(&call).unwrap_or_else(|e| panic!("{what}: {e}"));
        for (i, (got, want)) in got.iter().zip(&outputs).enumerate() {
            same(&format!("{what}, output {i}"), got, want);
        }
    }
    assert!(cases.len() > 120);
}

#[test]
fn f16_rounds_to_nearest_even() {
    let round = super::array::round_f16;
    // 2048 has steps of 2, the largest is 65504, the smallest 2^-24.
    let cases = [
        (2049.0, 2048.0),
        (2051.0, 2052.0),
        (65_519.0, 65_504.0),
        (65_520.0, f32::INFINITY),
        (-1e9, f32::NEG_INFINITY),
        (2f32.powi(-25), 0.0),
        (3.0 * 2f32.powi(-25), 2f32.powi(-23)),
        (1.0 + 2f32.powi(-11), 1.0),
        (1.0 + 3.0 * 2f32.powi(-11), 1.0 + 2f32.powi(-9)),
    ];
    for (x, want) in cases {
        assert_eq!(round(x), want, "{x}");
    }
    assert!(round(f32::NAN).is_nan());
}

/// A left-out input is no name of a value.
#[test]
fn optional_inputs_may_be_left_out() {
    let node = Node {
        op_type: "Clip".into(),
        inputs: vec!["x".into(), String::new(), "high".into()],
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let g = Graph {
        nodes: vec![node],
        ..Graph::default()
    };
    let env = Env::from([
        ("x".into(), Array::f32(&[2], vec![-9.0, 9.0])),
        ("high".into(), Array::f32(&[], vec![1.0])),
    ]);
    let env = graph(&g, env, 17).unwrap();
    assert_eq!(env["y"].floats(), [-9.0, 1.0]);
}
