//! Reads golden data; `README.md` beside has the layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::{ParamSpec, Params, Role};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// The layout that is read.
const VERSION: &str = "1";

/// Shape and values.
pub(crate) type Values = (Vec<usize>, Vec<f64>);

/// One model with its runs.
pub(crate) struct Golden {
    /// What the model is made from.
    pub(crate) config: ModelConfig,
    /// Each tensor by its name.
    pub(crate) tensors: BTreeMap<String, Values>,
}

impl Golden {
    /// From a file's bytes.
    ///
    /// # Errors
    /// Another layout than this one, in words.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let metadata = header.metadata().clone().unwrap_or_default();
        match metadata.get("minrnn.golden").map(String::as_str) {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "golden data of layout {other:?}, this reads {VERSION:?}: run generate.py again"
                ));
            }
            None => return Err("no `minrnn.golden` in the metadata: not golden data".into()),
        }
        let text = metadata
            .get("config")
            .ok_or("no `config` in the metadata")?;
        let config = toml::from_str(text).map_err(|e| e.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let tensors = file
            .tensors()
            .into_iter()
            .map(values)
            .collect::<Result<_, _>>()?;
        Ok(Self { config, tensors })
    }

    /// The file's weights; buffers as the configuration makes them.
    pub(crate) fn params(&self, model: &Model) -> Params {
        let graph = model.graph();
        let buffer = |p: &&ParamSpec| matches!(p.role, Role::Buffer { .. });
        let buffers: Vec<_> = graph
            .params()
            .iter()
            .filter(buffer)
            .map(|p| p.name.clone())
            .collect();
        let mut named = Params::init(graph, 0).to_named(graph);
        named.retain(|name, _| buffers.contains(name));
        for (name, (shape, values)) in &self.tensors {
            if let Some(name) = name.strip_prefix("param.") {
                named.insert(
                    name.into(),
                    (shape.clone(), values.iter().map(|v| *v as f32).collect()),
                );
            }
        }
        Params::from_named(graph, named).expect("the same parameters on both sides")
    }
}

fn values((name, view): (String, TensorView)) -> Result<(String, Values), String> {
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F32 => numbers(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F64 => numbers(bytes, f64::from_le_bytes),
        Dtype::I64 => numbers(bytes, |b| i64::from_le_bytes(b) as f64),
        other => return Err(format!("{name} is {other:?}")),
    };
    Ok((name, (view.shape().to_vec(), data)))
}

fn numbers<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
}

/// Names and bytes of all golden files.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let entries = std::fs::read_dir(&folder).expect("tests/golden is there");
    let golden = |p: &PathBuf| p.extension().is_some_and(|e| e == "safetensors");
    let mut paths: Vec<_> = entries
        .map(|e| e.expect("readable").path())
        .filter(golden)
        .collect();
    paths.sort();
    let name = |p: &Path| {
        p.file_stem()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned()
    };
    paths
        .iter()
        .map(|p| (name(p), std::fs::read(p).expect("readable")))
        .collect()
}
