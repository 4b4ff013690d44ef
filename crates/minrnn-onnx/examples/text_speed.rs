//! How long the texts of a graph take: `cargo run --release -p minrnn-onnx --example text_speed [NODES..]`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::time::{Duration, Instant};

use minrnn_onnx::builder::{Builder, Val};
use minrnn_onnx::diff::diff;
use minrnn_onnx::ir::{DType, Dim, Model};
use minrnn_onnx::text::{canonical, text};

/// A chain with side branches, every tenth node with a constant of its own and every tenth of no use.
fn model(nodes: usize) -> Model {
    let mut b = Builder::new("g");
    let dims = vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(16)];
    let mut x = b.input("x", DType::F32, dims.clone());
    let mut before: Val = x;
    for i in 0..nodes {
        let next = b.scoped(&format!("layers.{}", i / 100), |b| match i % 10 {
            0 => {
                let c = b.f32(i as f32);
                b.mul(x, c)
            }
            1 => {
                b.relu(x);
                x
            }
            2 => b.add(x, before),
            _ => b.relu(x),
        });
        (before, x) = (x, next);
    }
    b.output("y", x, DType::F32, dims);
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph: b.finish().unwrap_or_default(),
        ..Model::default()
    }
}

/// The best of a few: other work may share the machine.
fn best(f: impl Fn() -> usize) -> Duration {
    let one = |_| {
        let start = Instant::now();
        assert!(f() > 0, "there is something to show");
        start.elapsed()
    };
    (0..5).map(one).min().unwrap_or_default()
}

fn main() {
    let given: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let sizes = if given.is_empty() {
        vec![1_000, 10_000, 100_000]
    } else {
        given
    };
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12}",
        "nodes", "text", "canonical", "diff", "decode"
    );
    for nodes in sizes {
        let m = model(nodes);
        assert_eq!(m.graph.nodes.len(), nodes, "the graph was built");
        let bytes = m.encode();
        let times = [
            best(|| text(&m).len()),
            best(|| canonical(&m).len()),
            best(|| diff(&m, &m).to_string().len()),
            best(|| Model::decode(&bytes).map_or(0, |m| m.graph.nodes.len())),
        ];
        let ms = times.map(|t| format!("{:.1} ms", t.as_secs_f64() * 1e3));
        println!(
            "{nodes:>8} {:>12} {:>12} {:>12} {:>12}",
            ms[0], ms[1], ms[2], ms[3]
        );
    }
}
