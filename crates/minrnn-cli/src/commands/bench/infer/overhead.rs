//! A graph that has next to nothing to compute: what a call of it takes is the way there and back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use minrnn_onnx::ir::{DType, Dim, Graph, Model, Node, ValueInfo};

/// `y = Neg(x)`, one number.
pub(super) fn write(folder: &Path) -> Result<PathBuf> {
    let port = |name: &str| ValueInfo::new(name, DType::F32, vec![Dim::Fixed(1)]);
    let graph = Graph {
        name: "overhead".into(),
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        nodes: vec![Node {
            op_type: "Neg".into(),
            inputs: vec!["x".into()],
            outputs: vec!["y".into()],
            ..Node::default()
        }],
        ..Graph::default()
    };
    let model = Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    };
    let path = folder.join("overhead.onnx");
    std::fs::write(&path, model.encode())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
