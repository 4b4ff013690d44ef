//! From our types to bytes. Field order is the schema's, list order ours: equal models give equal bytes.

use prost::Message;

use super::encode_parts::{attributes, entries, sparse, tensor, value_info};
use super::{Function, Graph, Model, Node};
use crate::pb;

pub(super) fn model(m: &Model) -> Vec<u8> {
    pb::ModelProto {
        ir_version: m.ir_version,
        producer_name: m.producer.clone(),
        producer_version: m.producer_version.clone(),
        domain: m.domain.clone(),
        model_version: m.model_version,
        doc_string: m.doc.clone(),
        graph: Some(graph(&m.graph)),
        opset_import: opsets(&m.opsets),
        metadata_props: entries(&m.metadata),
        training_info: m.training.clone(),
        functions: m.functions.iter().map(function).collect(),
        configuration: m.devices.clone(),
    }
    .encode_to_vec()
}

fn opsets(sets: &[(String, i64)]) -> Vec<pb::OperatorSetIdProto> {
    let one = |(domain, version): &(String, i64)| pb::OperatorSetIdProto {
        domain: domain.clone(),
        version: *version,
    };
    sets.iter().map(one).collect()
}

pub(super) fn graph(g: &Graph) -> pb::GraphProto {
    let annotation = |(tensor, roles): &(String, Vec<(String, String)>)| pb::TensorAnnotation {
        tensor_name: tensor.clone(),
        quant_parameter_tensor_names: entries(roles),
    };
    pb::GraphProto {
        node: g.nodes.iter().map(node).collect(),
        name: g.name.clone(),
        initializer: g.initializers.iter().map(tensor).collect(),
        doc_string: g.doc.clone(),
        input: g.inputs.iter().map(value_info).collect(),
        output: g.outputs.iter().map(value_info).collect(),
        value_info: g.value_info.iter().map(value_info).collect(),
        quantization_annotation: g.quantization.iter().map(annotation).collect(),
        sparse_initializer: g.sparse_initializers.iter().map(sparse).collect(),
        metadata_props: entries(&g.metadata),
    }
}

fn node(n: &Node) -> pb::NodeProto {
    pb::NodeProto {
        input: n.inputs.clone(),
        output: n.outputs.clone(),
        name: n.name.clone(),
        op_type: n.op_type.clone(),
        attribute: attributes(&n.attributes, &n.attribute_docs),
        doc_string: n.doc.clone(),
        domain: n.domain.clone(),
        overload: n.overload.clone(),
        metadata_props: entries(&n.metadata),
        device_configurations: n.devices.clone(),
    }
}

fn function(f: &Function) -> pb::FunctionProto {
    pb::FunctionProto {
        name: f.name.clone(),
        input: f.inputs.clone(),
        output: f.outputs.clone(),
        attribute: f.attributes.clone(),
        node: f.nodes.iter().map(node).collect(),
        doc_string: f.doc.clone(),
        opset_import: opsets(&f.opsets),
        domain: f.domain.clone(),
        attribute_proto: attributes(&f.defaults, &f.default_docs),
        value_info: f.value_info.iter().map(value_info).collect(),
        overload: f.overload.clone(),
        metadata_props: entries(&f.metadata),
    }
}
