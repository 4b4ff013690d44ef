//! `manifest.json`: what is in the folder, so that a program need not open the files to choose one.

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use minrnn_model::vocabulary::{TOKENIZER, Vocabulary};
use serde_json::{Map, Value as Json, json};

use super::metadata::{activations, head, states};
use super::names::{Named, entries};
use super::{DirOptions, ExportOptions, Port};
use crate::ir::{Dim, Model, ValueInfo};

/// A file of the export.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// One exported form.
pub(super) struct FormFile {
    pub(super) options: ExportOptions,
    pub(super) file: Data,
    /// Weights beside it.
    pub(super) data: Option<Data>,
    /// As the file says it.
    pub(super) lowering: String,
    pub(super) max_seq_len: Option<u64>,
    pub(super) inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

impl FormFile {
    pub(super) fn new(
        options: ExportOptions,
        model: &Model,
        file: Data,
        data: Option<Data>,
    ) -> Self {
        Self {
            options,
            file,
            data,
            lowering: model
                .metadata("minrnn.lowering")
                .unwrap_or_default()
                .to_owned(),
            max_seq_len: model
                .metadata("minrnn.max_seq_len")
                .and_then(|n| n.parse().ok()),
            inputs: model.graph.inputs.clone(),
            outputs: model.graph.outputs.clone(),
        }
    }
}

/// The manifest, schema `minrnn.manifest/2` (`docs/manifest.schema.json`). `vocabulary[i]` is the character of token i, or it says `bytes` or the tokenizer's
/// file; what has names has
/// them under `features`, `classes` or `targets`; int8 has what its activations are scaled by under `activations`, weights that are an average say so
/// under `average`.
#[expect(clippy::too_many_arguments, reason = "everything that was written")]
pub(super) fn manifest(
    graph: &Graph,
    params: &Params,
    config: &Json,
    weights: &str,
    ports: &[Port],
    names: &[Named],
    forms: &[FormFile],
    dir: &DirOptions,
) -> Json {
    let options = &dir.options;
    let by_name: Map<String, Json> = forms
        .iter()
        .map(|f| (f.options.form.name().to_owned(), form(f)))
        .collect();
    let mut manifest = json!({
        "schema": "minrnn.manifest/2",
        "weights_sha256": weights,
        "dtype": options.weights.name(),
        "target": options.target.name(),
        "forms": by_name,
        "states": states(graph, params, ports),
        "state_names": options.state_names.name(),
        "state_layout": options.state_layout.name(),
        "head": head(graph),
        "config": config,
        "preprocessing": preprocessing(graph, config, dir),
        "vocabulary": vocabulary(dir),
        "end_of_stream": end_of_stream(dir),
    });
    if let Json::Object(all) = &mut manifest {
        all.extend(entries(names));
        all.extend(dir.average.map(|a| ("average".to_owned(), a.json())));
        all.extend(activations(&options.weights).map(|a| ("activations".to_owned(), a)));
    }
    manifest
}

/// What is done to raw input before it goes in.
fn preprocessing(graph: &Graph, config: &Json, dir: &DirOptions) -> Json {
    use minrnn_model::graph::Input;
    match (graph.input(), &dir.vocabulary) {
        (Input::Tokens { .. }, Some(Vocabulary::Characters(_))) => {
            json!({ "kind": "characters", "unknown": "refuse" })
        }
        (Input::Tokens { .. }, Some(Vocabulary::Bytes)) => json!({ "kind": "bytes" }),
        (Input::Tokens { .. }, Some(Vocabulary::Tokenizer(_))) => json!({ "kind": "tokenizer" }),
        (Input::Tokens { .. }, None) => json!({ "kind": "token_ids" }),
        (Input::Features { .. }, _) => {
            let given = |key| config.pointer(key).is_some_and(|v| !v.is_null());
            let inside = given("/input/mean") || given("/input/std");
            let where_ = if inside { "in_graph" } else { "none" };
            json!({ "kind": "features", "normalization": where_ })
        }
    }
}

/// The characters, the word for bytes, or where the tokenizer lies.
fn vocabulary(dir: &DirOptions) -> Json {
    match &dir.vocabulary {
        Some(words @ Vocabulary::Tokenizer(file)) => {
            let sha256 = super::vocabulary_mark(words);
            json!({ "file": TOKENIZER, "sha256": sha256, "bytes": file.len() })
        }
        words => json!(words),
    }
}

/// When a stream is over.
fn end_of_stream(dir: &DirOptions) -> Json {
    match dir.end_of_stream {
        Some(token) => json!({ "kind": "token", "token": token }),
        None => json!({ "kind": "caller" }),
    }
}

fn form(f: &FormFile) -> Json {
    let data = f
        .data
        .as_ref()
        .map(|d| json!({ "file": d.file, "sha256": d.sha256, "bytes": d.bytes }));
    json!({
        "file": f.file.file,
        "sha256": f.file.sha256,
        "weights": data,
        "opset": f.options.opset,
        "lowering": f.lowering,
        "max_seq_len": f.max_seq_len,
        "inputs": values(&f.inputs),
        "outputs": values(&f.outputs),
    })
}

fn values(list: &[ValueInfo]) -> Json {
    let dim = |d: &Dim| match d {
        Dim::Fixed(n) => json!(n),
        Dim::Symbol(s) => json!(s),
        Dim::Unknown => Json::Null,
    };
    let value = |v: &ValueInfo| {
        json!({
            "name": v.name,
            "dtype": v.dtype.map(|d| d.name()),
            "shape": v.dims.as_ref().map(|dims| dims.iter().map(dim).collect::<Vec<_>>()),
        })
    };
    list.iter().map(value).collect()
}
