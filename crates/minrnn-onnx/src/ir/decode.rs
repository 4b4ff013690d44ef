//! From bytes to our types. Bytes are hostile until checked: every refusal names its place, nothing panics.

use prost::Message;

use super::decode_graph::{function, graph};
use super::decode_parts::{Result, entries, list, opsets};
use super::{DecodeErrorKind as Kind, Model, wire};
use crate::pb;

pub(super) fn model(bytes: &[u8]) -> Result<Model> {
    let m = pb::ModelProto::decode(bytes).map_err(|e| Kind::from(e).at("file"))?;
    wire::known(bytes)?;
    let g = m
        .graph
        .ok_or_else(|| Kind::Missing("the graph").at("file"))?;
    Ok(Model {
        ir_version: m.ir_version,
        opsets: opsets(m.opset_import),
        producer: m.producer_name,
        producer_version: m.producer_version,
        domain: m.domain,
        model_version: m.model_version,
        doc: m.doc_string,
        metadata: entries(m.metadata_props),
        graph: graph(g, "graph")?,
        functions: list(m.functions, "functions", |f| f.name.clone(), function)?,
        training: m.training_info,
        devices: m.configuration,
    })
}
