//! Tensors and types to messages.

use super::{DType, Dim, SparseTensor, Tensor, TensorData, Type, TypeKind, ValueInfo};
use crate::pb::{
    self, tensor_proto::DataLocation, tensor_shape_proto, type_proto, type_proto::Value,
};

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

pub(super) fn ty(t: &Type) -> pb::TypeProto {
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
