//! An exported file read back: its parameters in whatever type they are stored, and how its states are arranged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};
use minrnn_model::ModelError;
use minrnn_model::graph::{Graph, StateInit};
use minrnn_model::params::Params;
use serde_json::Value as Json;

use super::contract::Contract;
use super::{
    Activations, ExportError, ExportOptions, Form, Lowering, Port, StateLayout, StateNames, Store,
    Target, Weights, ports,
};
use crate::ir::{DType, Dim, External, Model, Tensor, TensorData};

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

pub(super) fn broken(name: &str, what: impl Into<String>) -> ExportError {
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
    let (said, needed) = (contract(model)?, Contract::of(graph));
    if said.is_some_and(|said| said != needed) {
        let what = format!(
            "is `{}`, and by the configuration it would be `{}`",
            said.map_or("", Contract::name),
            needed.name()
        );
        let key = "minrnn.contract";
        return Err(ExportError::Metadata { key, what });
    }
    let ports = ports(graph, &options)?;
    let mut named = BTreeMap::new();
    let types = Store::types(graph, &options.weights);
    for (i, spec) in graph.params().iter().enumerate() {
        let Some(tensor) = find(model, &spec.name) else {
            continue;
        };
        let wanted = types.get(&i).copied().unwrap_or(DType::F32);
        if tensor.dtype != wanted {
            let what = format!(
                "is {}, and by `minrnn.dtype` ({}) it would be {wanted}",
                tensor.dtype,
                options.weights.name()
            );
            return Err(broken(&spec.name, what));
        }
        if !tensor
            .dims
            .iter()
            .map(|d| *d as u128)
            .eq(spec.shape.iter().map(|d| *d as u128))
        {
            let what = format!(
                "is {:?} in the file, {:?} by the configuration",
                tensor.dims, spec.shape
            );
            return Err(broken(&spec.name, what));
        }
        let values = values(model, tensor, dir)?;
        named.insert(spec.name.clone(), (spec.shape.clone(), values));
    }
    initial(model, graph, &ports, &mut named)?;
    let params = Params::from_named(graph, named).map_err(|e| match e {
        ModelError::Param { name, what } => broken(&name, what),
        other => broken("", other.to_string()),
    })?;
    Ok(Stored {
        params,
        weights: options.weights,
        ports,
    })
}

pub(super) fn find<'a>(model: &'a Model, name: &str) -> Option<&'a Tensor> {
    model.graph.initializers.iter().find(|t| t.name == name)
}

/// The options that a file of ours was made with, as far as it tells: the steps of its blocks are not among them.
///
/// # Errors
/// Words that this version does not know.
pub fn options(model: &Model) -> Result<ExportOptions, ExportError> {
    contract(model)?;
    let mut options = ExportOptions {
        form: word(model, "minrnn.form", Form::ALL, Form::name)?.unwrap_or(Form::Parallel),
        state_names: word(
            model,
            "minrnn.state_names",
            StateNames::ALL,
            StateNames::name,
        )?
        .unwrap_or_default(),
        state_layout: word(
            model,
            "minrnn.state_layout",
            [StateLayout::Separate, StateLayout::Stacked],
            StateLayout::name,
        )?
        .unwrap_or_default(),
        target: word(model, "minrnn.target", Target::ALL, Target::name)?.unwrap_or_default(),
        opset: model.opset().unwrap_or_default(),
        fused_norms: model
            .graph
            .nodes
            .iter()
            .any(|n| n.op_type.ends_with("Normalization")),
        fused_cells: (model.graph.nodes.iter())
            .any(|n| matches!(n.op_type.as_str(), "GRU" | "LSTM")),
        ..ExportOptions::default()
    };
    let said = model.metadata("minrnn.lowering");
    let stepped = options.form == Form::Step && said == Some(Lowering::LinearAttention.name());
    if (options.form == Form::Parallel || stepped)
        && let Some(lowering) = word(model, "minrnn.lowering", Lowering::ALL, Lowering::name)?
    {
        options.lowering = lowering;
    }
    if let Some(longest) = model.metadata("minrnn.max_seq_len") {
        options.max_seq_len = longest
            .parse()
            .map_err(|_| unknown("minrnn.max_seq_len", longest))?;
    }
    let input = |name: &str| model.graph.inputs.iter().any(|i| i.name == name);
    options.lengths = input("lengths") && options.form != Form::Step;
    options.reset = input("reset");
    let dims = model.graph.inputs.first().and_then(|i| i.dims.as_deref());
    let fixed = |at: usize| match dims.and_then(|d| d.get(at)) {
        Some(Dim::Fixed(n)) => usize::try_from(*n).ok(),
        _ => None,
    };
    options.batch = fixed(0);
    options.seq_len = fixed(1).filter(|_| options.form != Form::Step);
    options.weights = match model.metadata("minrnn.dtype") {
        None | Some("f32") => Weights::F32,
        Some("f16") => Weights::F16,
        Some("bf16") => Weights::Bf16,
        Some("int8") => Weights::Int8(activations(model)?),
        Some(word) => return Err(unknown("minrnn.dtype", word)),
    };
    Ok(options)
}

/// The version of the contract that a file says it keeps.
fn contract(model: &Model) -> Result<Option<Contract>, ExportError> {
    word(model, "minrnn.contract", Contract::ALL, Contract::name)
}

/// The choice that a key of the metadata names.
fn word<T: Copy, const N: usize>(
    model: &Model,
    key: &'static str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ExportError> {
    let Some(word) = model.metadata(key) else {
        return Ok(None);
    };
    let found = all.into_iter().find(|one| name(*one) == word);
    found.map(Some).ok_or_else(|| unknown(key, word))
}

fn unknown(key: &'static str, word: &str) -> ExportError {
    let word: String = word.chars().take(40).collect();
    let what = format!("is `{word}`, which is not known here");
    ExportError::Metadata { key, what }
}

fn activations(model: &Model) -> Result<Activations, ExportError> {
    let text = model.metadata("minrnn.activations").unwrap_or("null");
    let wrong = || ExportError::Metadata {
        key: "minrnn.activations",
        what: "is neither \"row\" nor magnitudes by weight".into(),
    };
    match minrnn_model::json::from_str(text).map_err(|_| wrong())? {
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

/// The bytes of a tensor: here, or in a plain file of the folder.
pub(crate) fn bytes(tensor: &Tensor, dir: &Path) -> Result<Vec<u8>, ExportError> {
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
        .and_then(|s| minrnn_model::json::from_str(s).ok())
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
        for (member, mut values) in port.scatter(graph, 1, &init) {
            let width = graph.states()[member].width;
            // Each row of a window begins alike.
            if values.chunks(width).any(|row| {
                row.iter()
                    .zip(&values)
                    .any(|(a, b)| a.to_bits() != b.to_bits())
            }) {
                return Err(wrong());
            }
            values.truncate(width);
            if let StateInit::Learned(p) = graph.states()[member].init {
                let spec = graph.param_spec(p);
                // Files with resets have them in the graph as well.
                if let Some((_, own)) = named.get(&spec.name)
                    && !own
                        .iter()
                        .map(|v| v.to_bits())
                        .eq(values.iter().map(|v| v.to_bits()))
                {
                    let what = "is not what `minrnn.states` says of its state";
                    return Err(broken(&spec.name, what));
                }
                named.insert(spec.name.clone(), (spec.shape.clone(), values));
            }
        }
    }
    Ok(())
}
