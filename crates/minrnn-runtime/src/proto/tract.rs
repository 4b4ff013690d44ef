//! The messages as tract has them: it is given what this crate has read and checked, never the bytes.

use tract_onnx::pb;
use tract_onnx::pb::tensor_shape_proto::{self, dimension};
use tract_onnx::pb::type_proto;

use super::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
    TensorProto, TensorType, TypeProto, ValueInfoProto,
};

/// The file. Of what is only counted (functions, training, sparse tensors) nothing: no file with one comes this far.
pub(crate) fn model(model: ModelProto) -> pb::ModelProto {
    let opset = |o: super::OperatorSetIdProto| pb::OperatorSetIdProto {
        domain: o.domain,
        version: o.version,
    };
    pb::ModelProto {
        opset_import: model.opset_import.into_iter().map(opset).collect(),
        graph: model.graph.map(graph),
        metadata_props: model.metadata_props.into_iter().map(entry).collect(),
        ..Default::default()
    }
}

fn entry(entry: StringStringEntryProto) -> pb::StringStringEntryProto {
    pb::StringStringEntryProto {
        key: entry.key,
        value: entry.value,
    }
}

fn graph(graph: GraphProto) -> pb::GraphProto {
    pb::GraphProto {
        node: graph.node.into_iter().map(node).collect(),
        name: graph.name,
        initializer: graph.initializer.into_iter().map(tensor).collect(),
        input: graph.input.into_iter().map(value).collect(),
        output: graph.output.into_iter().map(value).collect(),
        ..Default::default()
    }
}

fn node(node: NodeProto) -> pb::NodeProto {
    pb::NodeProto {
        input: node.input,
        output: node.output,
        name: node.name,
        op_type: node.op_type,
        domain: node.domain,
        attribute: node.attribute.into_iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn attribute(attr: AttributeProto) -> pb::AttributeProto {
    pb::AttributeProto {
        name: attr.name,
        ref_attr_name: attr.ref_attr_name,
        r#type: attr.r#type,
        f: attr.f,
        i: attr.i,
        s: attr.s,
        t: attr.t.map(tensor),
        g: attr.g.map(graph),
        floats: attr.floats,
        ints: attr.ints,
        strings: attr.strings,
        tensors: attr.tensors.into_iter().map(tensor).collect(),
        graphs: attr.graphs.into_iter().map(graph).collect(),
        ..Default::default()
    }
}

fn tensor(tensor: TensorProto) -> pb::TensorProto {
    pb::TensorProto {
        dims: tensor.dims,
        data_type: tensor.data_type,
        float_data: tensor.float_data,
        int32_data: tensor.int32_data,
        string_data: tensor.string_data,
        int64_data: tensor.int64_data,
        name: tensor.name,
        raw_data: tensor.raw_data,
        double_data: tensor.double_data,
        uint64_data: tensor.uint64_data,
        external_data: tensor.external_data.into_iter().map(entry).collect(),
        data_location: Some(tensor.data_location).filter(|l| *l != 0),
        ..Default::default()
    }
}

fn value(value: ValueInfoProto) -> pb::ValueInfoProto {
    pb::ValueInfoProto {
        name: value.name,
        r#type: value.r#type.map(kind),
        ..Default::default()
    }
}

fn kind(kind: TypeProto) -> pb::TypeProto {
    pb::TypeProto {
        value: kind
            .tensor_type
            .map(|t| type_proto::Value::TensorType(tensor_type(t))),
        ..Default::default()
    }
}

fn tensor_type(kind: TensorType) -> type_proto::Tensor {
    let dim = |dim: Dimension| tensor_shape_proto::Dimension {
        value: match dim {
            Dimension::Unknown => None,
            Dimension::Value(n) => Some(dimension::Value::DimValue(n)),
            Dimension::Param(name) => Some(dimension::Value::DimParam(name)),
        },
        ..Default::default()
    };
    let shape = |shape: super::TensorShapeProto| pb::TensorShapeProto {
        dim: shape.dim.into_iter().map(dim).collect(),
    };
    type_proto::Tensor {
        elem_type: kind.elem_type,
        shape: kind.shape.map(shape),
    }
}

#[cfg(test)]
mod tests;
