//! Graphs for tests, the files of them, and what is asked of two.

use std::path::{Path, PathBuf};

use minrnn_model::rng::Rng;
use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor as Constant, ValueInfo};

use super::*;

pub(in super::super) fn info(name: &str, dtype: DType, dims: &str) -> ValueInfo {
    let dim = |d: &str| match d.parse() {
        Ok(n) => Dim::Fixed(n),
        Err(_) => Dim::symbol(d),
    };
    ValueInfo {
        name: name.into(),
        dtype: Some(dtype),
        dims: Some(dims.split(',').filter(|d| !d.is_empty()).map(dim).collect()),
        ..ValueInfo::default()
    }
}

pub(in super::super) fn floats(name: &str, dims: &str) -> ValueInfo {
    info(name, DType::F32, dims)
}

pub(in super::super) fn node(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, Attr)],
) -> Node {
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Node {
        op_type: op.into(),
        name: format!("{}_node", outputs[0]),
        inputs: names(inputs),
        outputs: names(outputs),
        attributes: attributes
            .iter()
            .map(|(n, a)| ((*n).to_owned(), a.clone()))
            .collect(),
        ..Node::default()
    }
}

pub(in super::super) fn words(all: &[&str]) -> Attr {
    Attr::Strs(all.iter().map(|w| w.as_bytes().to_vec()).collect())
}

pub(in super::super) fn word(w: &str) -> Attr {
    Attr::Str(w.as_bytes().to_vec())
}

pub(in super::super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(in super::super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(in super::super) fn write(&self, name: &str, graph: Graph) -> PathBuf {
        self.write_with(name, 17, graph)
    }

    pub(in super::super) fn write_with(&self, name: &str, opset: i64, graph: Graph) -> PathBuf {
        write(self.0.path(), name, opset, graph)
    }

    pub(in super::super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Two files, compared.
    pub(in super::super) fn pair(
        &self,
        kind: Kind,
        graphs: [Graph; 2],
        request: &Request,
    ) -> Result<Pair> {
        let [a, b] = graphs;
        let (a, b) = (self.write("a.onnx", a), self.write("b.onnx", b));
        compare(&a, &b, kind, request, &mut |_, _, _| ())
    }
}

/// The file of a graph in a folder.
pub(in super::super) fn write(dir: &Path, name: &str, opset: i64, graph: Graph) -> PathBuf {
    let path = dir.join(name);
    let model = Model {
        ir_version: 8,
        opsets: vec![(String::new(), opset)],
        graph,
        ..Model::default()
    };
    std::fs::write(&path, model.encode()).unwrap();
    path
}

/// Whether a remark has these words.
#[track_caller]
pub(super) fn noted(pair: &Pair, words: &str) {
    let all = &pair.notes;
    assert!(all.iter().any(|n| n.contains(words)), "{words}: {all:?}");
}

pub(in super::super) fn request() -> Request {
    Request {
        longest: Some(3),
        ..Request::default()
    }
}

#[track_caller]
pub(in super::super) fn same(first: &Path, second: &Path, request: &Request) -> Pair {
    compare(first, second, Kind::Same, request, &mut |_, _, _| ()).unwrap()
}

/// A recurrent operator over `x [T, B, 3]`, its outputs `Y` and `h`; with random weights, the same for one operator.
pub(in super::super) fn recurrent(op: &str, more: &[(&str, Attr)]) -> Graph {
    let gates = match op {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let mut rng = Rng::named(gates as u64, "weights");
    let mut weight = |name: &str, dims: Vec<i64>| {
        let count: i64 = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
        Constant::f32(name, dims, &values)
    };
    let initializers = vec![
        weight("W", vec![1, gates * 4, 3]),
        weight("R", vec![1, gates * 4, 4]),
        weight("B", vec![1, gates * 8]),
    ];
    let attributes = [&[("hidden_size", Attr::Int(4))], more].concat();
    Graph {
        inputs: vec![floats("x", "T,B,3")],
        outputs: vec![floats("Y", "T,1,B,4"), floats("h", "1,B,4")],
        nodes: vec![node(op, &["x", "W", "R", "B"], &["Y", "h"], &attributes)],
        initializers,
        ..Graph::default()
    }
}
