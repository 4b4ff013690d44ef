//! From our types to bytes. Field order is the schema's, list order ours: equal models give equal bytes.

use prost::Message;

use super::encode_parts::{entries, sparse, tensor, ty, value_info};
use super::{Attr, Function, Graph, Model, Node};
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

fn graph(g: &Graph) -> pb::GraphProto {
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

/// The attributes, each with the first text of its name.
fn attributes(list: &[(String, Attr)], docs: &[(String, String)]) -> Vec<pb::AttributeProto> {
    let mut docs: Vec<_> = docs.iter().collect();
    let mut one = |(name, attr): &(String, Attr)| {
        let mut p = attribute(attr);
        p.name.clone_from(name);
        if let Some(at) = docs.iter().position(|(n, _)| n == name) {
            p.doc_string.clone_from(&docs.remove(at).1);
        }
        p
    };
    list.iter().map(&mut one).collect()
}

fn attribute(attr: &Attr) -> pb::AttributeProto {
    let mut p = pb::AttributeProto {
        r#type: attr.kind_of().code(),
        ..Default::default()
    };
    match attr {
        Attr::Int(i) => p.i = Some(*i),
        Attr::Float(f) => p.f = Some(*f),
        Attr::Str(s) => p.s = Some(s.clone()),
        Attr::Tensor(t) => p.t = Some(tensor(t)),
        Attr::Graph(g) => p.g = Some(graph(g)),
        Attr::Ints(v) => p.ints.clone_from(v),
        Attr::Floats(v) => p.floats.clone_from(v),
        Attr::Strs(v) => p.strings.clone_from(v),
        Attr::Tensors(v) => p.tensors = v.iter().map(tensor).collect(),
        Attr::Graphs(v) => p.graphs = v.iter().map(graph).collect(),
        Attr::SparseTensor(s) => p.sparse_tensor = Some(sparse(s)),
        Attr::SparseTensors(v) => p.sparse_tensors = v.iter().map(sparse).collect(),
        Attr::Type(t) => p.tp = Some(ty(t)),
        Attr::Types(v) => p.type_protos = v.iter().map(ty).collect(),
        Attr::Ref { attribute, .. } => p.ref_attr_name.clone_from(attribute),
    }
    p
}
