//! Data that stands in the file.

use crate::proto::{DataType, TensorProto};

use super::Rules;
use crate::error::Breach;

/// One field of data, of the length that the dimensions say, inside the file.
pub(super) fn check(tensor: &TensorProto, place: &str, rules: Rules) -> Result<(), Breach> {
    let breach = |what: String| Err(Breach::new(place, what));
    // What lay beside the file has been read by now.
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return breach("keeps its data outside the file".into());
    }
    if tensor.segment {
        return breach("is a part of a tensor".into());
    }
    let dims = tensor
        .dims
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let Some(volume) = dims.filter(|_| tensor.dims.len() <= 8) else {
        return breach(format!("has dimensions {:?}", tensor.dims));
    };
    let (size, typed) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => (4, tensor.float_data.len()),
        Ok(DataType::Double) => (8, tensor.double_data.len()),
        Ok(DataType::Int64) => (8, tensor.int64_data.len()),
        Ok(DataType::Int32) => (4, tensor.int32_data.len()),
        Ok(DataType::Float16) => (2, tensor.int32_data.len()),
        Ok(DataType::Bool | DataType::Uint8 | DataType::Int8) => (1, tensor.int32_data.len()),
        Ok(DataType::Int16 | DataType::Uint16) if rules == Rules::Any => {
            (2, tensor.int32_data.len())
        }
        Ok(DataType::Uint32) if rules == Rules::Any => (4, tensor.uint64_data.len()),
        Ok(DataType::Uint64) if rules == Rules::Any => (8, tensor.uint64_data.len()),
        _ => return breach(format!("has data type {}", tensor.data_type)),
    };
    let fields = [
        tensor.raw_data.len(),
        tensor.float_data.len(),
        tensor.double_data.len(),
        tensor.int64_data.len(),
        tensor.int32_data.len(),
        tensor.string_data.len(),
        tensor.uint64_data.len(),
    ];
    if fields.iter().filter(|n| **n > 0).count() > 1 {
        return breach("holds its data twice, in different fields".into());
    }
    let raw = !tensor.raw_data.is_empty();
    let fits = if raw {
        volume.checked_mul(size) == Some(tensor.raw_data.len())
    } else {
        volume == typed
    };
    if fits {
        return Ok(());
    }
    breach(format!(
        "has dimensions {:?} and data of another length",
        tensor.dims
    ))
}

/// The values of an int64 tensor; `None` for another type.
pub(crate) fn int64s(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_type != DataType::Int64 as i32 {
        return None;
    }
    if tensor.raw_data.is_empty() {
        return Some(tensor.int64_data.clone());
    }
    let words = tensor.raw_data.chunks_exact(8);
    Some(
        words
            .filter_map(|w| w.try_into().ok().map(i64::from_le_bytes))
            .collect(),
    )
}
