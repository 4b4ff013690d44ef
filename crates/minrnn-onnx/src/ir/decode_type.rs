//! Types from bytes.

use super::decode_parts::{Result, entries};
use super::{DType, DecodeErrorKind as Kind, Dim, TensorShape, Type, TypeKind, ValueInfo};
use crate::pb::{self, tensor_shape_proto, type_proto};

pub(super) fn value_info(v: pb::ValueInfoProto, place: &str) -> Result<ValueInfo> {
    let mut info = ValueInfo {
        name: v.name,
        doc: v.doc_string,
        metadata: entries(v.metadata_props),
        ..ValueInfo::default()
    };
    let Some(stated) = v.r#type else {
        return Ok(info);
    };
    match ty(stated, place)? {
        Type {
            kind: TypeKind::Unknown,
            denotation,
        } => info.denotation = denotation,
        Type {
            kind: TypeKind::Tensor(t),
            denotation,
        } => {
            info.dtype = t.dtype;
            info.dims = t.dims;
            info.dim_denotations = t.dim_denotations;
            info.denotation = denotation;
        }
        other => info.other = Some(Box::new(other)),
    }
    Ok(info)
}

pub(super) fn ty(t: pb::TypeProto, place: &str) -> Result<Type> {
    use type_proto::Value;
    let boxed = |inner: Option<Box<pb::TypeProto>>| -> Result<Option<Box<Type>>> {
        inner.map(|t| ty(*t, place).map(Box::new)).transpose()
    };
    let kind = match t.value {
        None => TypeKind::Unknown,
        Some(Value::TensorType(t)) => TypeKind::Tensor(shape(t.elem_type, t.shape, place)?),
        Some(Value::SparseTensorType(t)) => {
            TypeKind::SparseTensor(shape(t.elem_type, t.shape, place)?)
        }
        Some(Value::SequenceType(s)) => TypeKind::Sequence(boxed(s.elem_type)?),
        Some(Value::OptionalType(o)) => TypeKind::Optional(boxed(o.elem_type)?),
        Some(Value::MapType(m)) => TypeKind::Map {
            key: dtype(m.key_type, place)?,
            value: boxed(m.value_type)?,
        },
        Some(Value::OpaqueType(o)) => TypeKind::Opaque {
            domain: o.domain,
            name: o.name,
        },
    };
    Ok(Type {
        kind,
        denotation: t.denotation,
    })
}

/// Zero is "not stated".
fn dtype(code: i32, place: &str) -> Result<Option<DType>> {
    let unknown = || {
        Kind::Code {
            what: "element type",
            code: i64::from(code),
        }
        .at(place)
    };
    match code {
        0 => Ok(None),
        code => DType::from_code(code).map(Some).ok_or_else(unknown),
    }
}

fn shape(code: i32, shape: Option<pb::TensorShapeProto>, place: &str) -> Result<TensorShape> {
    let mut found = TensorShape {
        dtype: dtype(code, place)?,
        ..TensorShape::default()
    };
    if let Some(shape) = shape {
        if shape.dim.iter().any(|d| !d.denotation.is_empty()) {
            found.dim_denotations = shape.dim.iter().map(|d| d.denotation.clone()).collect();
        }
        let dims = shape.dim.into_iter().map(|d| dim(d, place));
        found.dims = Some(dims.collect::<Result<_>>()?);
    }
    Ok(found)
}

fn dim(d: tensor_shape_proto::Dimension, place: &str) -> Result<Dim> {
    use tensor_shape_proto::dimension::Value;
    match d.value {
        Some(Value::DimValue(n)) if n < 0 => {
            Err(Kind::Value(format!("has the dimension {n}")).at(place))
        }
        Some(Value::DimValue(n)) => Ok(Dim::Fixed(n)),
        Some(Value::DimParam(s)) if s.is_empty() => Ok(Dim::Unknown),
        Some(Value::DimParam(s)) => Ok(Dim::Symbol(s)),
        None => Ok(Dim::Unknown),
    }
}
