//! One ONNX file, ready to run as it is and in float64.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use minrnn_onnx::ir;
use minrnn_runtime::{AnyModel, Elem, Port};

use super::normal::{self, normalise};
use super::tensor::Tensor;
use super::widen::widen;

/// A file with its graph.
#[derive(Debug)]
pub(crate) struct GraphFile {
    pub(crate) path: PathBuf,
    pub(crate) model: ir::Model,
    /// What was rewritten before the engine got it, and what to know about it.
    pub(crate) notes: Vec<String>,
    narrow: AnyModel,
    /// The same in float64, or why there is none.
    wide: std::result::Result<AnyModel, String>,
}

/// How a graph is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// As the file says.
    AsFiled,
    /// In float64.
    Wide,
}

impl GraphFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut model =
            ir::Model::decode(&bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let mut notes = normalise(&mut model);
        let version = model.opset().unwrap_or_default();
        if version > 18 {
            notes.push(format!(
                "opset {version}; tract, which runs it here, is tested up to 18"
            ));
        }
        let narrow = AnyModel::from_bytes_of(path, &model.encode())?;
        let wide = widen(&model).and_then(|wide| {
            AnyModel::from_bytes_of(path, &wide.encode())
                .map(AnyModel::unoptimised)
                .map_err(|e| chain(&e))
        });
        Ok(Self {
            path: path.to_path_buf(),
            model,
            notes,
            narrow,
            wide,
        })
    }

    pub(crate) fn inputs(&self) -> &[Port] {
        self.narrow.inputs()
    }

    pub(crate) fn outputs(&self) -> &[Port] {
        self.narrow.outputs()
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.narrow.metadata(key)
    }

    /// Why there is no float64 form, if there is none.
    pub(crate) fn narrow_only(&self) -> Option<&str> {
        self.wide.as_ref().err().map(String::as_str)
    }

    /// Does without the float64 form from now on.
    pub(super) fn narrow_down(&mut self, why: String) {
        self.wide = Err(why);
    }

    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Runs it for the tensors named.
    pub(crate) fn run(
        &self,
        how: Arithmetic,
        feeds: &[(&str, &Tensor)],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let wide = how == Arithmetic::Wide;
        let engine = match (&self.wide, wide) {
            (Ok(engine), true) => engine,
            (Err(why), true) => bail!("{} has no float64 form: {why}", self.name()),
            _ => &self.narrow,
        };
        let elem = |name: &str| {
            engine
                .inputs()
                .iter()
                .find(|p| p.name == name)
                .and_then(|p| p.elem)
        };
        let arrays: Vec<_> = feeds
            .iter()
            .map(|(name, t)| (*name, t.to_array(elem(name).unwrap_or(Elem::F32), wide)))
            .collect();
        Ok(engine
            .run_for(&arrays, wanted)?
            .iter()
            .map(Tensor::of)
            .collect())
    }

    /// How many rows the table has that integers of this input choose from, following them through nodes that only move
    /// values.
    pub(crate) fn vocabulary(&self, input: &str) -> Option<usize> {
        const MOVES: &[&str] = &[
            "Cast",
            "Concat",
            "Expand",
            "Flatten",
            "Identity",
            "Mul",
            "Pad",
            "Reshape",
            "Slice",
            "Squeeze",
            "Transpose",
            "Unsqueeze",
        ];
        let graph = &self.model.graph;
        let mut moved = vec![input];
        let mut rows = vec![];
        for node in &graph.nodes {
            let reads = |i: usize| {
                node.inputs
                    .get(i)
                    .is_some_and(|n| moved.contains(&n.as_str()))
            };
            if node.op_type == "Gather" && reads(1) && node.int("axis").unwrap_or(0) == 0 {
                let table = normal::constant(graph, &node.inputs[0]);
                rows.extend(table.and_then(|t| usize::try_from(*t.dims.first()?).ok()));
            } else if MOVES.contains(&node.op_type.as_str()) && (0..node.inputs.len()).any(reads) {
                moved.extend(node.outputs.iter().map(String::as_str));
            }
        }
        rows.into_iter().min()
    }
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    text
}
