//! Comparing ONNX files, and their canonical text.

use std::fs;
use std::path::Path;

use minrnn_onnx::builder::Builder;
use minrnn_onnx::ir::{DType, Dim, Model, Tensor};

use crate::harness::{minrnn, snapshot};

/// y = relu(x w) + c, with names under `scope`.
fn model(scope: &str, weight: f32, sub: bool) -> Vec<u8> {
    let mut b = Builder::new("small");
    let dims = vec![Dim::symbol("batch"), Dim::Fixed(2)];
    let x = b.input("x", DType::F32, dims.clone());
    let w = b.param(Tensor::f32(
        format!("{scope}.weight"),
        vec![2, 2],
        &[1.0, weight, 3.0, 4.0],
    ));
    let y = b.scoped(scope, |b| {
        let m = b.matmul(x, w);
        let r = b.relu(m);
        let c = b.f32(0.5);
        if sub { b.sub(r, c) } else { b.add(r, c) }
    });
    b.output("y", y, DType::F32, dims);
    let graph = b.finish().unwrap();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    }
    .encode()
}

fn files(dir: &Path, left: &[u8], right: &[u8]) {
    fs::write(dir.join("a.onnx"), left).unwrap();
    fs::write(dir.join("b.onnx"), right).unwrap();
}

#[test]
fn names_are_of_no_consequence() {
    let dir = tempfile::tempdir().unwrap();
    files(
        dir.path(),
        &model("layers.0", 2.0, false),
        &model("block.one", 2.0, false),
    );
    let ran = minrnn(dir.path(), &["diff", "a.onnx", "b.onnx"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    snapshot("diff_same", &ran);
    let text = |file| minrnn(dir.path(), &["inspect", file, "--canonical"]);
    let (a, b) = (text("a.onnx"), text("b.onnx"));
    snapshot("inspect_canonical", &a);
    assert_eq!(a.good(), b.good());
}

#[test]
fn weights_alone() {
    let dir = tempfile::tempdir().unwrap();
    files(
        dir.path(),
        &model("layers.0", 2.0, false),
        &model("layers.0", 2.5, false),
    );
    let ran = minrnn(dir.path(), &["diff", "a.onnx", "b.onnx"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    snapshot("diff_weights", &ran);
    snapshot(
        "diff_weights_json",
        &minrnn(dir.path(), &["diff", "a.onnx", "b.onnx", "--json"]),
    );
}

#[test]
fn another_operator() {
    let dir = tempfile::tempdir().unwrap();
    files(
        dir.path(),
        &model("layers.0", 2.0, false),
        &model("layers.0", 2.5, true),
    );
    let ran = minrnn(dir.path(), &["diff", "a.onnx", "b.onnx"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    snapshot("diff_operator", &ran);
    snapshot(
        "diff_operator_json",
        &minrnn(dir.path(), &["diff", "a.onnx", "b.onnx", "--json"]),
    );
}

#[test]
fn what_is_no_onnx_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    files(
        dir.path(),
        &model("layers.0", 2.0, false),
        b"no ONNX at all",
    );
    let ran = minrnn(dir.path(), &["diff", "a.onnx", "b.onnx"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot("diff_no_onnx", &ran);
}
