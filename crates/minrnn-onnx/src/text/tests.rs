use std::time::Instant;

use super::text;
use crate::builder::{Builder, ScanBody};
use crate::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor};

fn model(b: Builder) -> Model {
    let graph = b.finish().unwrap();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        producer: "minrnn".into(),
        metadata: vec![("minrnn.form".into(), "scan".into())],
        graph,
        ..Model::default()
    }
}

#[test]
fn a_graph_reads_like_a_program() {
    let mut b = Builder::new("g");
    let dims = vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(2)];
    let step = vec![Dim::Unknown, Dim::Fixed(2)];
    let x = b.input("x", DType::F32, dims.clone());
    let h0 = b.input("h0", DType::F32, vec![Dim::symbol("batch"), Dim::Fixed(2)]);
    let w = b.param(Tensor::f32(
        "layers.0.weight",
        vec![2, 2],
        &[1.0, 2.0, 3.0, 4.0],
    ));
    let half = b.f32(0.5);
    let h = b.scoped("layers.0", |b| {
        let y = b.matmul(x, w);
        let y = b.mul(y, half);
        let y = b.slice_at(y, 0, -1, 1);
        let parts = b.split(y, 2, 2);
        let y = b.concat(&parts, 2);
        b.scan(&[(h0, step.clone())], &[(y, step.clone())], 1, |b, h, x| {
            let next = b.add(h[0], x[0]);
            ScanBody {
                states: vec![next],
                outputs: vec![(next, step.clone())],
            }
        })
    });
    b.output(
        "last",
        h[0],
        DType::F32,
        vec![Dim::symbol("batch"), Dim::Fixed(2)],
    );
    let got = text(&model(b));
    insta::assert_snapshot!(got, @r#"
    ir_version 8
    opset ai.onnx 17
    producer minrnn
    metadata minrnn.form = scan

    graph g {
      in %x: f32[batch,seq_len,2]
      in %h0: f32[batch,2]
      out %last: f32[batch,2]
      init %layers.0.weight: f32[2,2] sha256:ad73b9acd6e4
      init %const.f32.5e-1: f32[] = 5e-1
      init %const.i64.0: i64[1] = [0]
      init %const.i64.1: i64[1] = [1]
      init %const.i64.m1: i64[1] = [-1]
      %/layers.0/MatMul: f32[batch,seq_len,2] = MatMul(%x, %layers.0.weight)
      %/layers.0/Mul: f32[batch,seq_len,2] = Mul(%/layers.0/MatMul, %const.f32.5e-1)
      %/layers.0/Slice: f32[batch,seq_len-1,2] = Slice(%/layers.0/Mul, %const.i64.0, %const.i64.m1, %const.i64.1)
      %/layers.0/Split.0: f32[batch,seq_len-1,1], %/layers.0/Split.1: f32[batch,seq_len-1,1] = Split(%/layers.0/Slice) {axis=2}
      %/layers.0/Concat: f32[batch,seq_len-1,2] = Concat(%/layers.0/Split.0, %/layers.0/Split.1) {axis=2}
      %last: f32[batch,2], %/layers.0/Scan.1: f32[batch,seq_len-1,2] = Scan(%h0, %/layers.0/Concat) {num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1]}  # /layers.0/Scan
        body {
          in %/layers.0/body/state: f32[?,2]
          in %/layers.0/body/input: f32[?,2]
          out %/layers.0/body/Add: f32[?,2]
          out %/layers.0/body/Identity: f32[?,2]
          %/layers.0/body/Add: f32[batch,2] = Add(%/layers.0/body/state, %/layers.0/body/input)
          %/layers.0/body/Identity: f32[batch,2] = Identity(%/layers.0/body/Add)
        }
    }
    "#);
}

#[test]
fn names_cannot_forge_lines() {
    let node = Node {
        op_type: "Add".into(),
        name: "a\nout %fake: f32[1]".into(),
        inputs: vec!["x, %y".into(), String::new()],
        outputs: vec!["z\n}".into()],
        attributes: vec![("k=1}\n".into(), Attr::Str(b"\n}".to_vec()))],
        ..Node::default()
    };
    let graph = Graph {
        name: "g\n".into(),
        nodes: vec![node],
        ..Graph::default()
    };
    let m = Model {
        metadata: vec![("k\n".into(), "v\nw".into())],
        graph,
        ..Model::default()
    };
    let got = text(&m);
    assert_eq!(got.lines().count(), 6, "{got}");
}

#[test]
fn a_thousand_nodes_are_quick() {
    let mut b = Builder::new("g");
    let dims = vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(16)];
    let mut x = b.input("x", DType::F32, dims.clone());
    for _ in 0..1000 {
        x = b.scoped("layers.0", |b| b.add(x, x));
    }
    b.output("y", x, DType::F32, dims);
    let m = model(b);
    // The best of a few: other work may share the machine.
    let best = (0..5).map(|_| {
        let start = Instant::now();
        assert_eq!(text(&m).lines().count(), 1000 + 9);
        start.elapsed().as_millis()
    });
    assert!(best.min().is_some_and(|ms| ms < 50));
}
