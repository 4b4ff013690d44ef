//! `manifest.json`: what is in the folder, so that a program need not open the files to choose one.

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::metadata::{head, states};
use super::weights::hex;
use super::{ExportOptions, weights_sha256};
use crate::ir::{Dim, Model, ValueInfo};

/// One exported form.
pub(super) struct FormFile<'a> {
    pub(super) options: &'a ExportOptions,
    pub(super) model: &'a Model,
    pub(super) file: String,
    pub(super) bytes: &'a [u8],
}

/// The manifest, schema `minrnn.manifest/1`. `vocabulary[i]` is the text of token i.
pub(super) fn manifest(
    graph: &Graph,
    params: &Params,
    config: &Json,
    forms: &[FormFile],
    vocabulary: Option<&[String]>,
) -> Json {
    let forms: Map<String, Json> = forms
        .iter()
        .map(|f| (f.options.form.name().to_owned(), form(f)))
        .collect();
    json!({
        "schema": "minrnn.manifest/1",
        "weights_sha256": weights_sha256(graph, params),
        "forms": forms,
        "states": states(graph, params),
        "head": head(graph),
        "config": config,
        "vocabulary": vocabulary,
    })
}

fn form(f: &FormFile) -> Json {
    let max_seq_len = f
        .model
        .metadata("minrnn.max_seq_len")
        .and_then(|n| n.parse::<u64>().ok());
    json!({
        "file": f.file,
        "sha256": hex(&Sha256::digest(f.bytes)),
        "lowering": f.options.lowering_name(),
        "max_seq_len": max_seq_len,
        "inputs": values(&f.model.graph.inputs),
        "outputs": values(&f.model.graph.outputs),
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
