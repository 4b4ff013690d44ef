//! Attributes, tensors and types to messages.

use super::encode::graph;
use super::{Attr, DType, Dim, SparseTensor, Tensor, TensorData, Type, TypeKind, ValueInfo};
use crate::pb::{
    self, tensor_proto::DataLocation, tensor_shape_proto, type_proto, type_proto::Value,
};

/// The attributes, each with the first text of its name.
pub(super) fn attributes(
    list: &[(String, Attr)],
    docs: &[(String, String)],
) -> Vec<pb::AttributeProto> {
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

pub(super) fn sparse(s: &SparseTensor) -> pb::SparseTensorProto {
    pb::SparseTensorProto {
        values: Some(tensor(&s.values)),
        indices: Some(tensor(&s.indices)),
        dims: s.dims.clone(),
    }
}

pub(super) fn tensor(t: &Tensor) -> pb::TensorProto {
    let mut p = pb::TensorProto {
        dims: t.dims.clone(),
        data_type: t.dtype.code(),
        name: t.name.clone(),
        doc_string: t.doc.clone(),
        metadata_props: entries(&t.metadata),
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
                .filter_map(|(key, value)| value.map(|v| (key.to_owned(), v)))
                .chain(e.others.iter().cloned());
            p.external_data = entries(&stated.collect::<Vec<_>>());
        }
    }
    p
}

pub(super) fn value_info(v: &ValueInfo) -> pb::ValueInfoProto {
    let ty = match &v.other {
        Some(other) => Some(ty(other)),
        None => {
            let stated = v.dtype.is_some() || v.dims.is_some();
            let value =
                stated.then(|| Value::TensorType(shape(v.dtype, &v.dims, &v.dim_denotations)));
            let denotation = v.denotation.clone();
            let said = value.is_some() || !denotation.is_empty();
            said.then_some(pb::TypeProto { denotation, value })
        }
    };
    pb::ValueInfoProto {
        name: v.name.clone(),
        r#type: ty,
        doc_string: v.doc.clone(),
        metadata_props: entries(&v.metadata),
    }
}

fn ty(t: &Type) -> pb::TypeProto {
    let boxed = |inner: &Option<Box<Type>>| inner.as_ref().map(|t| Box::new(ty(t)));
    let value = match &t.kind {
        TypeKind::Unknown => None,
        TypeKind::Tensor(t) => Some(Value::TensorType(shape(
            t.dtype,
            &t.dims,
            &t.dim_denotations,
        ))),
        TypeKind::SparseTensor(t) => {
            let type_proto::Tensor { elem_type, shape } =
                shape(t.dtype, &t.dims, &t.dim_denotations);
            Some(Value::SparseTensorType(type_proto::SparseTensor {
                elem_type,
                shape,
            }))
        }
        TypeKind::Sequence(inner) => Some(Value::SequenceType(Box::new(type_proto::Sequence {
            elem_type: boxed(inner),
        }))),
        TypeKind::Optional(inner) => Some(Value::OptionalType(Box::new(type_proto::Optional {
            elem_type: boxed(inner),
        }))),
        TypeKind::Map { key, value } => Some(Value::MapType(Box::new(type_proto::Map {
            key_type: key.map_or(0, DType::code),
            value_type: boxed(value),
        }))),
        TypeKind::Opaque { domain, name } => Some(Value::OpaqueType(type_proto::Opaque {
            domain: domain.clone(),
            name: name.clone(),
        })),
    };
    pb::TypeProto {
        denotation: t.denotation.clone(),
        value,
    }
}

fn shape(
    dtype: Option<DType>,
    dims: &Option<Vec<Dim>>,
    denotations: &[String],
) -> type_proto::Tensor {
    use tensor_shape_proto::dimension;
    let dim = |(i, d): (usize, &Dim)| tensor_shape_proto::Dimension {
        value: match d {
            Dim::Fixed(n) => Some(dimension::Value::DimValue(*n)),
            Dim::Symbol(s) => Some(dimension::Value::DimParam(s.clone())),
            Dim::Unknown => None,
        },
        denotation: denotations.get(i).cloned().unwrap_or_default(),
    };
    type_proto::Tensor {
        elem_type: dtype.map_or(0, DType::code),
        shape: dims.as_ref().map(|dims| pb::TensorShapeProto {
            dim: dims.iter().enumerate().map(dim).collect(),
        }),
    }
}

pub(super) fn entries(pairs: &[(String, String)]) -> Vec<pb::StringStringEntryProto> {
    pairs
        .iter()
        .map(|(key, value)| pb::StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}
