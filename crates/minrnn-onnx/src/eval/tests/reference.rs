//! Operators against `reference.json`.

use serde_json::Value;

use super::nodes::run;
use crate::eval::Array;
use crate::ir::{Attr, DType, Tensor};

fn list<T>(value: &Value, one: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(one).collect()
}

fn array(value: &Value) -> Array {
    let dtype = DType::from_code(value["dtype"].as_i64().unwrap() as i32).unwrap();
    let dims = list(&value["dims"], |d| d.as_u64().unwrap() as usize);
    let values = &value["values"];
    match dtype.is_float() {
        true => Array::from_floats(dtype, &dims, &list(values, |v| v.as_f64().unwrap())),
        false => Array::from_ints(dtype, &dims, &list(values, |v| v.as_i64().unwrap().into())),
    }
    .unwrap()
}

fn attribute(op: &str, value: &Value) -> Attr {
    match value {
        Value::String(s) => Attr::Str(s.as_bytes().to_vec()),
        Value::Array(all) if all[0].is_string() => {
            Attr::Strs(list(value, |v| v.as_str().unwrap().into()))
        }
        Value::Array(all) if all[0].is_f64() => {
            Attr::Floats(list(value, |v| v.as_f64().unwrap() as f32))
        }
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
    assert_eq!(
        (got.dtype(), got.dims()),
        (want.dtype(), want.dims()),
        "{what}"
    );
    let (Some(g), Some(w)) = (got.floats(), want.floats()) else {
        assert_eq!(got.ints(), want.ints(), "{what}");
        return;
    };
    let unit = if want.dtype() == DType::F16 {
        1e-3
    } else {
        2e-6
    };
    for (i, (g, w)) in g.iter().zip(w).enumerate() {
        assert!(
            g == w || (g - w).abs() <= unit * (1.0 + w.abs()),
            "{what}: {g} for {w} at {i}"
        );
    }
}

/// All of a list, each named, and none with an attribute that it does not have; gives how many there were.
fn agree(cases: &str) -> usize {
    let cases: Value = serde_json::from_str(cases).unwrap();
    let cases = cases.as_array().unwrap();
    for (number, case) in cases.iter().enumerate() {
        let op = case["op"].as_str().unwrap();
        let what = format!("{number}: {op}");
        let inputs = list(&case["inputs"], |v| (!v.is_null()).then(|| array(v)));
        let outputs = list(&case["outputs"], array);
        let attributes: Vec<(&str, Attr)> = case["attributes"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| (n.as_str(), attribute(op, v)))
            .collect();
        let opset = case["opset"].as_i64().unwrap();
        let got = run(op, opset, &attributes, &inputs, outputs.len())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut more = attributes.clone();
        more.push(("no_such_attribute", Attr::Int(1)));
        let refused = run(op, opset, &more, &inputs, outputs.len()).unwrap_err();
        assert!(
            refused.to_string().contains("no_such_attribute") || op == "Constant",
            "{what}: {refused}"
        );
        for (i, want) in outputs.iter().enumerate() {
            let got = got.get(&format!("y{i}")).unwrap().rounded();
            same(&format!("{what}, output {i}"), &got, want);
        }
    }
    cases.len()
}

#[test]
fn operators_agree_with_the_reference() {
    assert!(agree(include_str!("../reference.json")) > 200);
}

/// A cut of the cross product of `tests/engines/rnn.py`: its equations in float64 NumPy, which ONNX Runtime agrees with.
#[test]
fn recurrent_operators_agree_with_their_equations() {
    assert!(agree(include_str!("../rnn.json")) > 40);
}
