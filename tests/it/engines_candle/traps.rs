//! The rules of the target candle are there for something: a graph that breaks one is refused by the engine, or comes out wrong.

use std::collections::BTreeMap;

use minrnn_onnx::builder::{Builder, ScanBody, Val};
use minrnn_onnx::check::{conform, infer};
use minrnn_onnx::export::Target;
use minrnn_onnx::ir::{Attr, DType, Dim, External, Model, Tensor, TensorData};

use super::{Array, Candle, Engine, Feed, Values};

const SHAPE: [usize; 3] = [2, 3, 4];

fn x() -> Vec<f32> {
    (0..24).map(|i| (i * i % 17) as f32 - 6.5).collect()
}

/// A graph of one input `x [2, 3, 4]` and one output `y`.
fn model(opset: i64, rank: usize, make: impl FnOnce(&mut Builder, Val) -> Val) -> Model {
    let mut b = Builder::with_opset("trap", opset);
    let dims = SHAPE.map(|n| Dim::Fixed(n as i64)).to_vec();
    let x = b.input("x", DType::F32, dims);
    let y = make(&mut b, x);
    b.output("y", y, DType::F32, vec![Dim::Unknown; rank]);
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), opset)],
        graph: b.finish().unwrap(),
        ..Model::default()
    }
}

fn run(model: &Model) -> Result<(Vec<usize>, Vec<f32>), String> {
    let x = Array {
        shape: SHAPE.to_vec(),
        values: Values::F32(x()),
    };
    let feed: Feed = BTreeMap::from([("x".to_owned(), x)]);
    Ok(Candle::open(&model.encode())?
        .run(feed)?
        .remove("y")
        .unwrap())
}

/// Whether the target refuses the graph by this rule.
fn ruled(model: &Model, rule: &str) -> bool {
    let rule = format!("(rule {rule})");
    conform(model, &infer(model).0, Target::Candle)
        .is_err_and(|e| e.problems.iter().any(|p| p.detail.contains(&rule)))
}

fn refused(rule: &str, model: &Model, says: &str) {
    assert!(ruled(model, rule), "{rule}");
    match run(model) {
        Ok(_) => panic!("the rule {rule} can go: candle-onnx runs it"),
        Err(said) => assert!(said.contains(says), "{rule}: {said}"),
    }
}

/// A result of another shape, or with other values: what the standard wants is given.
fn wrong(rule: &str, model: &Model, want: &(Vec<usize>, Vec<f32>)) {
    assert!(ruled(model, rule), "{rule}");
    let got = run(model).unwrap_or_else(|said| panic!("{rule}: refused: {said}"));
    assert_ne!(got, *want, "the rule {rule} can go: candle-onnx runs it");
}

fn right(rule: &str, model: &Model, want: &(Vec<usize>, Vec<f32>)) {
    assert!(!ruled(model, rule), "{rule}");
    assert_eq!(run(model).as_ref(), Ok(want), "as the rule {rule} advises");
}

#[test]
fn operators_that_it_lacks() {
    let softplus = model(17, 3, |b, x| b.node("Softplus", &[x], vec![]));
    refused("operator", &softplus, "Softplus");
    let norm = model(17, 3, |b, x| {
        let scale = b.param(Tensor::f32("scale", vec![4], &[1.0; 4]));
        b.node("LayerNormalization", &[x, scale], vec![])
    });
    refused("operator", &norm, "LayerNormalization");
    let scan = model(17, 3, |b, x| {
        let row = vec![Dim::Unknown, Dim::Fixed(4)];
        let first = b.f32_filled(&[2, 4], 0.5);
        b.scan(
            &[(first, row.clone())],
            &[(x, row.clone())],
            1,
            |b, h, x| {
                let next = b.mul(h[0], x[0]);
                ScanBody {
                    states: vec![next],
                    outputs: vec![(next, row)],
                }
            },
        )[1]
    });
    refused("operator", &scan, "Scan");
}

#[test]
fn pads_by_reflection_only() {
    let pad = model(17, 3, |b, x| b.pad(x, &[0, 1, 0, 0, 0, 0], 0.0));
    refused("pad-reflect-only", &pad, "number of inputs 3 for Pad");
    let concat = model(17, 3, |b, x| {
        let zeros = b.f32_filled(&[2, 1, 4], 0.0);
        b.concat(&[zeros, x], 1)
    });
    let rows = x();
    let padded = rows
        .chunks(12)
        .flat_map(|row| [&[0.0; 4], row].concat())
        .collect();
    right("pad-reflect-only", &concat, &(vec![2, 4, 4], padded));
}

#[test]
fn axes_one_at_a_time() {
    let want = (vec![1, 1, 2, 3, 4], x());
    let both = model(17, 5, |b, x| {
        let axes = b.i64s(&[0, 1]);
        b.node("Unsqueeze", &[x, axes], vec![])
    });
    wrong("one-axis", &both, &want);
    let single = model(17, 5, |b, x| {
        let x = b.unsqueeze(x, 0);
        b.unsqueeze(x, 1)
    });
    right("one-axis", &single, &want);
}

#[test]
fn axes_of_means_are_an_attribute() {
    let means = x().chunks(4).map(|c| c.iter().sum::<f32>() / 4.0).collect();
    let want = (vec![2, 3, 1], means);
    let input = model(18, 3, |b, x| {
        let axes = b.i64s(&[2]);
        b.node("ReduceMean", &[x, axes], vec![])
    });
    wrong("mean-axes-attribute", &input, &want);
    // This is why newer opsets are refused too: it does not look at the version.
    assert!(ruled(&input, "opset"));
    let attribute = model(17, 3, |b, x| {
        b.node("ReduceMean", &[x], vec![("axes", Attr::Ints(vec![2]))])
    });
    right("mean-axes-attribute", &attribute, &want);
}

#[test]
fn weights_in_another_file() {
    let external = model(17, 3, |b, x| {
        let mut w = Tensor::f32("w", vec![4], &[0.0; 4]);
        w.data = TensorData::External(External {
            location: "w.data".to_owned(),
            ..External::default()
        });
        let w = b.param(w);
        b.add(x, w)
    });
    // It takes the missing bytes for the tensor's.
    refused("external-data", &external, "buffer of size 0");
}

#[test]
fn bf16_weights() {
    let bf16 = model(17, 3, |b, x| {
        let w = b.param(Tensor::bytes("w", DType::BF16, vec![4], vec![0; 8]));
        let wide = b.cast(w, DType::F32);
        b.add(x, wide)
    });
    refused("bf16", &bf16, "Bfloat16");
    let f16 = model(17, 3, |b, x| {
        let w = b.param(Tensor::bytes("w", DType::F16, vec![4], vec![0; 8]));
        let wide = b.cast(w, DType::F32);
        b.add(x, wide)
    });
    right("bf16", &f16, &(SHAPE.to_vec(), x()));
}

#[test]
fn it_does_not_look_at_the_opset() {
    let relu = |opset| model(opset, 3, |b, x| b.relu(x));
    let want = (SHAPE.to_vec(), x().iter().map(|v| v.max(0.0)).collect());
    assert!(ruled(&relu(99), "opset"));
    assert_eq!(run(&relu(99)), Ok(want), "it refuses opset 99");
}
