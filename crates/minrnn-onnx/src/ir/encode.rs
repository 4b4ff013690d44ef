//! From our types to bytes. Field order is the schema's, list order ours: equal models give equal bytes.

use prost::Message;

use super::{Attr, Dim, Graph, Model, Node, Tensor, TensorData, ValueInfo};
use crate::pb::{
    self, attribute_proto::AttributeType, tensor_proto::DataLocation, tensor_shape_proto,
    type_proto,
};

pub(super) fn model(m: &Model) -> Vec<u8> {
    let opset = |(domain, version): &(String, i64)| pb::OperatorSetIdProto {
        domain: domain.clone(),
        version: *version,
    };
    pb::ModelProto {
        ir_version: m.ir_version,
        producer_name: m.producer.clone(),
        producer_version: m.producer_version.clone(),
        domain: m.domain.clone(),
        model_version: m.model_version,
        doc_string: m.doc.clone(),
        graph: Some(graph(&m.graph)),
        opset_import: m.opsets.iter().map(opset).collect(),
        metadata_props: entries(&m.metadata),
        ..Default::default()
    }
    .encode_to_vec()
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
        sparse_initializer: vec![],
        metadata_props: entries(&g.metadata),
    }
}

fn node(n: &Node) -> pb::NodeProto {
    pb::NodeProto {
        input: n.inputs.clone(),
        output: n.outputs.clone(),
        name: n.name.clone(),
        op_type: n.op_type.clone(),
        attribute: n
            .attributes
            .iter()
            .map(|(name, a)| attribute(name, a))
            .collect(),
        doc_string: n.doc.clone(),
        domain: n.domain.clone(),
        overload: String::new(),
        metadata_props: entries(&n.metadata),
    }
}

fn attribute(name: &str, attr: &Attr) -> pb::AttributeProto {
    let mut p = pb::AttributeProto {
        name: name.into(),
        ..Default::default()
    };
    let kind = match attr {
        Attr::Int(i) => {
            p.i = Some(*i);
            AttributeType::Int
        }
        Attr::Float(f) => {
            p.f = Some(*f);
            AttributeType::Float
        }
        Attr::Str(s) => {
            p.s = Some(s.clone());
            AttributeType::String
        }
        Attr::Tensor(t) => {
            p.t = Some(tensor(t));
            AttributeType::Tensor
        }
        Attr::Graph(g) => {
            p.g = Some(graph(g));
            AttributeType::Graph
        }
        Attr::Ints(v) => {
            p.ints.clone_from(v);
            AttributeType::Ints
        }
        Attr::Floats(v) => {
            p.floats.clone_from(v);
            AttributeType::Floats
        }
        Attr::Strs(v) => {
            p.strings.clone_from(v);
            AttributeType::Strings
        }
        Attr::Tensors(v) => {
            p.tensors = v.iter().map(tensor).collect();
            AttributeType::Tensors
        }
        Attr::Graphs(v) => {
            p.graphs = v.iter().map(graph).collect();
            AttributeType::Graphs
        }
    };
    p.r#type = kind as i32;
    p
}

fn tensor(t: &Tensor) -> pb::TensorProto {
    let mut p = pb::TensorProto {
        dims: t.dims.clone(),
        data_type: t.dtype.code(),
        name: t.name.clone(),
        doc_string: t.doc.clone(),
        ..Default::default()
    };
    match &t.data {
        TensorData::Bytes(b) => p.raw_data = Some(b.clone()),
        TensorData::Strings(s) => p.string_data.clone_from(s),
        TensorData::External(e) => {
            p.data_location = DataLocation::External as i32;
            let number = |n: Option<u64>| n.map(|n| n.to_string());
            let fields = [
                ("location", Some(e.location.clone())),
                ("offset", number(e.offset)),
                ("length", number(e.length)),
                ("checksum", e.checksum.clone()),
            ];
            let stated = fields
                .into_iter()
                .filter_map(|(key, value)| value.map(|v| (key.to_owned(), v)));
            p.external_data = entries(&stated.collect::<Vec<_>>());
        }
    }
    p
}

fn value_info(v: &ValueInfo) -> pb::ValueInfoProto {
    let dim = |d: &Dim| {
        use tensor_shape_proto::dimension::Value;
        let value = match d {
            Dim::Fixed(n) => Some(Value::DimValue(*n)),
            Dim::Symbol(s) => Some(Value::DimParam(s.clone())),
            Dim::Unknown => None,
        };
        tensor_shape_proto::Dimension {
            value,
            denotation: String::new(),
        }
    };
    let shape = v.dims.as_ref().map(|d| pb::TensorShapeProto {
        dim: d.iter().map(dim).collect(),
    });
    let tensor = v.dtype.map(|d| type_proto::Tensor {
        elem_type: d.code(),
        shape: shape.clone(),
    });
    let tensor = tensor.or_else(|| {
        shape.map(|s| type_proto::Tensor {
            elem_type: 0,
            shape: Some(s),
        })
    });
    let ty = tensor.map(|t| pb::TypeProto {
        value: Some(type_proto::Value::TensorType(t)),
        denotation: String::new(),
    });
    pb::ValueInfoProto {
        name: v.name.clone(),
        r#type: ty,
        doc_string: v.doc.clone(),
        metadata_props: vec![],
    }
}

fn entries(pairs: &[(String, String)]) -> Vec<pb::StringStringEntryProto> {
    pairs
        .iter()
        .map(|(key, value)| pb::StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}
