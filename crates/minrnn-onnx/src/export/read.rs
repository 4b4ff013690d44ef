//! An exported file read back: its parameters in whatever type they are stored, and how its states are arranged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};
use minrnn_model::graph::{Graph, StateInit};
use minrnn_model::params::Params;
use serde_json::Value as Json;

use super::{
    Activations, ExportError, ExportOptions, Form, Port, StateLayout, StateNames, Weights, ports,
};
use crate::ir::{DType, External, Model, Tensor, TensorData};

/// What a file of ours holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The values of its parameters, as they are stored.
    pub params: Params,
    /// Their type, with what products do to their arguments.
    pub weights: Weights,
    /// Its states.
    pub ports: Vec<Port>,
}

fn broken(name: &str, what: impl Into<String>) -> ExportError {
    ExportError::Param {
        name: name.to_owned(),
        what: what.into(),
    }
}

/// Reads the parameters and states of a file that this crate wrote. `dir` is the file's folder, where weights may lie beside
/// it: only there, in a plain file.
///
/// # Errors
/// Metadata or tensors that are missing or do not fit the graph, files that cannot be read.
pub fn read(model: &Model, graph: &Graph, dir: &Path) -> Result<Stored, ExportError> {
    let options = options(model)?;
    let ports = ports(graph, &options)?;
    let mut named = BTreeMap::new();
    for spec in graph.params() {
        let Some(tensor) = find(model, &spec.name) else {
            continue;
        };
        let values = values(model, tensor, dir)?;
        named.insert(spec.name.clone(), (spec.shape.clone(), values));
    }
    initial(model, graph, &ports, &mut named)?;
    let params = Params::from_named(graph, named).map_err(|e| broken("", e.to_string()))?;
    Ok(Stored {
        params,
        weights: options.weights,
        ports,
    })
}

fn find<'a>(model: &'a Model, name: &str) -> Option<&'a Tensor> {
    model.graph.initializers.iter().find(|t| t.name == name)
}

/// The options that the metadata tell of.
fn options(model: &Model) -> Result<ExportOptions, ExportError> {
    let mut options = ExportOptions::default();
    if model.metadata("minrnn.form") == Some("step") {
        options.form = Form::Step;
    }
    let unknown = |key: &str, word: &str| {
        Err(broken(
            "",
            format!("metadata `{key}` is `{word}`, which is not known here"),
        ))
    };
    if let Some(word) = model.metadata("minrnn.state_names") {
        match StateNames::ALL.into_iter().find(|n| n.name() == word) {
            Some(names) => options.state_names = names,
            None => return unknown("minrnn.state_names", word),
        }
    }
    match model.metadata("minrnn.state_layout") {
        None | Some("separate") => {}
        Some("stacked") => options.state_layout = StateLayout::Stacked,
        Some(word) => return unknown("minrnn.state_layout", word),
    }
    options.weights = match model.metadata("minrnn.dtype") {
        None | Some("f32") => Weights::F32,
        Some("f16") => Weights::F16,
        Some("bf16") => Weights::Bf16,
        Some("int8") => Weights::Int8(activations(model)?),
        Some(word) => return unknown("minrnn.dtype", word),
    };
    Ok(options)
}

fn activations(model: &Model) -> Result<Activations, ExportError> {
    let text = model.metadata("minrnn.activations").unwrap_or("null");
    let wrong = || {
        broken(
            "",
            "metadata `minrnn.activations` is neither \"row\" nor magnitudes by weight",
        )
    };
    match serde_json::from_str(text).map_err(|_| wrong())? {
        Json::String(word) if word == "row" => Ok(Activations::Row),
        Json::Object(map) => {
            let one = |(name, value): (String, Json)| Some((name, value.as_f64()? as f32));
            let all: Option<_> = map.into_iter().map(one).collect();
            Ok(Activations::Static(all.ok_or_else(wrong)?))
        }
        _ => Err(wrong()),
    }
}

/// Values of a tensor as f32; quantised ones times their scales.
fn values(model: &Model, tensor: &Tensor, dir: &Path) -> Result<Vec<f32>, ExportError> {
    let bytes = bytes(tensor, dir)?;
    let two = |c: &[u8]| [c[0], c[1]];
    let four = |c: &[u8]| [c[0], c[1], c[2], c[3]];
    Ok(match tensor.dtype {
        DType::F32 => bytes
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes(four(c)))
            .collect(),
        DType::F16 => bytes
            .chunks_exact(2)
            .map(|c| f16::from_le_bytes(two(c)).to_f32())
            .collect(),
        DType::BF16 => bytes
            .chunks_exact(2)
            .map(|c| bf16::from_le_bytes(two(c)).to_f32())
            .collect(),
        DType::U8 => {
            let name = format!("{}.scale", tensor.name);
            let scale = find(model, &name).ok_or_else(|| broken(&name, "is missing"))?;
            let columns = tensor.dims.last().map_or(1, |d| *d as usize).max(1);
            let by_row = scale.dims.len() == 2;
            if scale.dtype != DType::F32 || scale.dims.contains(&0) {
                return Err(broken(&name, "is no row of f32"));
            }
            let scales = values(model, scale, dir)?;
            let at = |i: usize| scales.get(if by_row { i / columns } else { i % columns });
            let one = |(i, b): (usize, &u8)| Some((f32::from(*b) - 128.0) * at(i)?);
            let all: Option<_> = bytes.iter().enumerate().map(one).collect();
            all.ok_or_else(|| broken(&name, "has too few values"))?
        }
        other => {
            return Err(broken(
                &tensor.name,
                format!("is of {other}, which no export has"),
            ));
        }
    })
}

fn bytes(tensor: &Tensor, dir: &Path) -> Result<Vec<u8>, ExportError> {
    tensor
        .validate()
        .map_err(|e| broken(&tensor.name, e.to_string()))?;
    match &tensor.data {
        TensorData::Bytes(bytes) => Ok(bytes.clone()),
        TensorData::Strings(_) => Err(broken(&tensor.name, "holds strings")),
        TensorData::External(external) => {
            let want = tensor.byte_len().ok().flatten().unwrap_or(0);
            beside(tensor, external, want, dir)
        }
    }
}

/// Bytes of a plain file of the folder.
fn beside(
    tensor: &Tensor,
    external: &External,
    want: usize,
    dir: &Path,
) -> Result<Vec<u8>, ExportError> {
    let location = Path::new(&external.location);
    let mut parts = location.components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    if !plain || external.location.contains(['/', '\\', ':', '\0']) {
        let what = format!(
            "is in `{}`, which is no file of the folder",
            external.location
        );
        return Err(broken(&tensor.name, what));
    }
    let path = dir.join(location);
    let about = std::fs::symlink_metadata(&path).map_err(ExportError::io("open", &path))?;
    let offset = external.offset.unwrap_or(0);
    let end = offset.checked_add(want as u64);
    if !about.is_file() || end.is_none_or(|e| e > about.len()) {
        let what = format!(
            "is at {offset}, {want} bytes, of `{}`, which is no plain file of that size",
            external.location
        );
        return Err(broken(&tensor.name, what));
    }
    let mut file = File::open(&path).map_err(ExportError::io("open", &path))?;
    let opened = file.metadata().map_err(ExportError::io("open", &path))?;
    if identity(&about).is_none() || identity(&about) != identity(&opened) {
        let what = format!(
            "is in `{}`, which has another name on disk or was exchanged while it was opened",
            external.location
        );
        return Err(broken(&tensor.name, what));
    }
    let mut bytes = vec![0; want];
    let read = |file: &mut File, bytes: &mut [u8]| {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    };
    read(&mut file, &mut bytes).map_err(ExportError::io("read", &path))?;
    Ok(bytes)
}

/// Which file it is, if it has no other name: a hard link may lead out of the folder.
#[cfg(unix)]
fn identity(about: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    (about.nlink() == 1).then(|| (about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn identity(about: &std::fs::Metadata) -> Option<u64> {
    Some(about.len())
}

/// Learned initial states: they are in the metadata.
fn initial(
    model: &Model,
    graph: &Graph,
    ports: &[Port],
    named: &mut BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> Result<(), ExportError> {
    let said: Vec<Json> = model
        .metadata("minrnn.states")
        .and_then(|s| serde_json::from_str(s).ok())
        .unwrap_or_default();
    for port in ports {
        let learned = |m: &&usize| matches!(graph.states()[**m].init, StateInit::Learned(_));
        if !port.members.iter().any(|m| learned(&m)) {
            continue;
        }
        let wrong = || {
            broken(
                &port.input,
                "its initial values are missing in the metadata",
            )
        };
        let entry = said.iter().find(|s| s["input"] == port.input.as_str());
        let init: Vec<f32> = entry
            .and_then(|s| serde_json::from_value(s["init"].clone()).ok())
            .filter(|v: &Vec<f32>| v.len() == port.shape.iter().product::<usize>())
            .ok_or_else(wrong)?;
        for (member, values) in port.scatter(graph, 1, &init) {
            if let StateInit::Learned(p) = graph.states()[member].init {
                let spec = graph.param_spec(p);
                named.insert(spec.name.clone(), (spec.shape.clone(), values));
            }
        }
    }
    Ok(())
}
