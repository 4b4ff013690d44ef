//! Tensors from bytes: their values, from whichever field has them.

use super::decode_parts::entries;
use super::tensor::element_count;
use super::{
    DType, DecodeError, DecodeErrorKind as Kind, External, SparseTensor, Tensor, TensorData,
};
use crate::pb::{self, tensor_proto::DataLocation};

pub(super) fn tensor(t: pb::TensorProto, place: &str) -> Result<Tensor, DecodeError> {
    let fail = |kind: Kind| kind.at(place);
    let code = i64::from(t.data_type);
    let dtype = DType::from_code(t.data_type).ok_or_else(|| {
        fail(Kind::Code {
            what: "element type",
            code,
        })
    })?;
    if t.segment.is_some() {
        return Err(fail(Kind::Unsupported("tensors in segments")));
    }
    element_count(&t.dims).map_err(fail)?;
    let data = data(&t, dtype).map_err(fail)?;
    let tensor = Tensor {
        name: t.name,
        dtype,
        dims: t.dims,
        data,
        doc: t.doc_string,
        metadata: entries(t.metadata_props),
    };
    tensor.validate().map_err(fail)?;
    Ok(tensor)
}

pub(super) fn sparse(s: pb::SparseTensorProto, place: &str) -> Result<SparseTensor, DecodeError> {
    let missing = |part| Kind::Missing(part).at(place);
    element_count(&s.dims).map_err(|kind| kind.at(place))?;
    let values = s.values.ok_or_else(|| missing("values"))?;
    let indices = s.indices.ok_or_else(|| missing("indices"))?;
    Ok(SparseTensor {
        values: tensor(values, &format!("{place}.values"))?,
        indices: tensor(indices, &format!("{place}.indices"))?,
        dims: s.dims,
    })
}

/// The values of a tensor, from the one field that has them.
fn data(t: &pb::TensorProto, dtype: DType) -> Result<TensorData, Kind> {
    let lists = [
        (
            "raw_data",
            t.raw_data.as_ref().is_some_and(|d| !d.is_empty()),
        ),
        ("float_data", !t.float_data.is_empty()),
        ("int32_data", !t.int32_data.is_empty()),
        ("string_data", !t.string_data.is_empty()),
        ("int64_data", !t.int64_data.is_empty()),
        ("double_data", !t.double_data.is_empty()),
        ("uint64_data", !t.uint64_data.is_empty()),
    ];
    let held: Vec<&str> = lists
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect();
    if held.len() > 1 {
        return Err(Kind::Value(format!(
            "has values in {} and in {}; one field may have them",
            held[0], held[1]
        )));
    }
    let code = i64::from(t.data_location);
    let location = DataLocation::try_from(t.data_location).map_err(|_| Kind::Code {
        what: "data location",
        code,
    })?;
    if location == DataLocation::External {
        if let Some(field) = held.first() {
            return Err(Kind::Value(format!(
                "is in another file, but has values in {field}"
            )));
        }
        return external(&t.external_data).map(TensorData::External);
    }
    let wrong =
        |field: &str| Kind::Value(format!("has values in {field}, which is not for {dtype}"));
    use DType as D;
    Ok(match held.first().copied() {
        None if dtype == D::Str => TensorData::Strings(vec![]),
        None => TensorData::Bytes(vec![]),
        Some("raw_data") => TensorData::Bytes(t.raw_data.clone().unwrap_or_default()),
        Some("string_data") if dtype == D::Str => TensorData::Strings(t.string_data.clone()),
        Some("float_data") if matches!(dtype, D::F32 | D::C64) => {
            little_endian(&t.float_data, |v| v.to_le_bytes())
        }
        Some("double_data") if matches!(dtype, D::F64 | D::C128) => {
            little_endian(&t.double_data, |v| v.to_le_bytes())
        }
        Some("int64_data") if dtype == D::I64 => little_endian(&t.int64_data, |v| v.to_le_bytes()),
        Some("uint64_data") if dtype == D::U64 => {
            little_endian(&t.uint64_data, |v| v.to_le_bytes())
        }
        Some("uint64_data") if dtype == D::U32 => narrow(&t.uint64_data, 4, dtype)?,
        Some("int32_data") => match dtype.bits() {
            Some(32) if dtype == D::I32 => little_endian(&t.int32_data, |v| v.to_le_bytes()),
            Some(16) => narrow(&t.int32_data, 2, dtype)?,
            Some(bits) if bits <= 8 => narrow(&t.int32_data, 1, dtype)?,
            _ => return Err(wrong("int32_data")),
        },
        Some(field) => return Err(wrong(field)),
    })
}

fn little_endian<T: Copy, const N: usize>(
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> TensorData {
    TensorData::Bytes(values.iter().flat_map(|v| bytes(*v)).collect())
}

/// The low `width` bytes of each value, which must be all that it has.
fn narrow<T: Copy + Into<i128>>(
    values: &[T],
    width: usize,
    dtype: DType,
) -> Result<TensorData, Kind> {
    let bits = 8 * width as u32;
    let (low, high) = match dtype {
        d if d.is_signed() => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        DType::Bool => (0, 1),
        _ => (0, (1i128 << bits) - 1),
    };
    let mut bytes = Vec::with_capacity(values.len() * width);
    for value in values {
        let value: i128 = (*value).into();
        if !(low..=high).contains(&value) {
            return Err(Kind::Value(format!(
                "has the value {value}, which is out of range for {dtype}"
            )));
        }
        bytes.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    Ok(TensorData::Bytes(bytes))
}

fn external(entries: &[pb::StringStringEntryProto]) -> Result<External, Kind> {
    const KEYS: [&str; 4] = ["location", "offset", "length", "checksum"];
    // Of a known key given twice the first would count: refused, as another reader may take the other.
    for key in KEYS {
        if entries.iter().filter(|e| e.key == key).count() > 1 {
            return Err(Kind::Value(format!(
                "{key} of the values in another file is given twice"
            )));
        }
    }
    let others = entries.iter().filter(|e| !KEYS.contains(&e.key.as_str()));
    let get = |key: &str| {
        entries
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.clone())
    };
    let number = |key: &str| {
        let fail = |text: &str| {
            Kind::Value(format!(
                "{key} of the values in another file is `{text}`, not a number"
            ))
        };
        get(key)
            .map(|text| text.parse::<u64>().map_err(|_| fail(&text)))
            .transpose()
    };
    Ok(External {
        location: get("location")
            .ok_or(Kind::Missing("the location of the values in another file"))?,
        offset: number("offset")?,
        length: number("length")?,
        checksum: get("checksum"),
        others: others.map(|e| (e.key.clone(), e.value.clone())).collect(),
    })
}
