//! From bytes to our types. Bytes are hostile until checked: every refusal names its place, nothing panics.

use prost::Message;

use super::decode_attr::attributes;
use super::decode_tensor::{sparse, tensor};
use super::decode_type::value_info;
use super::{DecodeError, DecodeErrorKind as Kind, Function, Graph, Model, Node, ValueInfo, wire};
use crate::pb;

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

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

fn opsets(sets: Vec<pb::OperatorSetIdProto>) -> Vec<(String, i64)> {
    sets.into_iter().map(|o| (o.domain, o.version)).collect()
}

/// Decodes every element, with its place in the list.
pub(super) fn list<A, B>(
    items: Vec<A>,
    place: &str,
    name: impl Fn(&A) -> String,
    one: impl Fn(A, &str) -> Result<B>,
) -> Result<Vec<B>> {
    let each = |(i, item): (usize, A)| {
        let name = name(&item);
        let label = if name.is_empty() {
            String::new()
        } else {
            format!(" ({name})")
        };
        one(item, &format!("{place}[{i}]{label}"))
    };
    items.into_iter().enumerate().map(each).collect()
}

fn values(items: Vec<pb::ValueInfoProto>, place: &str, part: &str) -> Result<Vec<ValueInfo>> {
    list(
        items,
        &format!("{place}.{part}"),
        |v| v.name.clone(),
        value_info,
    )
}

pub(super) fn graph(g: pb::GraphProto, place: &str) -> Result<Graph> {
    let values = |items, part: &str| values(items, place, part);
    Ok(Graph {
        inputs: values(g.input, "input")?,
        outputs: values(g.output, "output")?,
        value_info: values(g.value_info, "value_info")?,
        initializers: list(
            g.initializer,
            &format!("{place}.initializer"),
            |t| t.name.clone(),
            tensor,
        )?,
        sparse_initializers: list(
            g.sparse_initializer,
            &format!("{place}.sparse_initializer"),
            |t| t.values.as_ref().map_or(String::new(), |v| v.name.clone()),
            sparse,
        )?,
        nodes: list(g.node, &format!("{place}.node"), |n| n.name.clone(), node)?,
        quantization: g
            .quantization_annotation
            .into_iter()
            .map(|a| (a.tensor_name, entries(a.quant_parameter_tensor_names)))
            .collect(),
        metadata: entries(g.metadata_props),
        name: g.name,
        doc: g.doc_string,
    })
}

fn node(n: pb::NodeProto, place: &str) -> Result<Node> {
    let (attributes, attribute_docs) = attributes(n.attribute, place)?;
    Ok(Node {
        op_type: n.op_type,
        domain: n.domain,
        overload: n.overload,
        name: n.name,
        inputs: n.input,
        outputs: n.output,
        attributes,
        attribute_docs,
        doc: n.doc_string,
        metadata: entries(n.metadata_props),
        devices: n.device_configurations,
    })
}

fn function(f: pb::FunctionProto, place: &str) -> Result<Function> {
    let (defaults, default_docs) = attributes(f.attribute_proto, place)?;
    Ok(Function {
        domain: f.domain,
        name: f.name,
        overload: f.overload,
        inputs: f.input,
        outputs: f.output,
        attributes: f.attribute,
        defaults,
        default_docs,
        nodes: list(f.node, &format!("{place}.node"), |n| n.name.clone(), node)?,
        opsets: opsets(f.opset_import),
        value_info: values(f.value_info, place, "value_info")?,
        doc: f.doc_string,
        metadata: entries(f.metadata_props),
    })
}

pub(super) fn entries(pairs: Vec<pb::StringStringEntryProto>) -> Vec<(String, String)> {
    pairs.into_iter().map(|e| (e.key, e.value)).collect()
}
