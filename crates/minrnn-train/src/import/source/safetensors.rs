//! safetensors files with any of the types that weights have.

use std::collections::BTreeMap;

use safetensors::{Dtype as Stored, SafeTensors};
use serde::de::IgnoredAny;

use super::{Dtype, Info, Place};
use crate::import::error::{ImportProblem, Result};

/// The tensors of a file; the crate checks that they cover the data without gap or overlap.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Info>> {
    let damaged = |e| {
        ImportProblem::format(format!(
            "a safetensors file that is damaged or cut off: {e}"
        ))
    };
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    SafeTensors::deserialize(bytes).map_err(damaged)?;
    let begin = header + 8;
    // Of two tensors with one name the crate keeps the last.
    minrnn_model::json::from_slice::<IgnoredAny>(&bytes[8..begin]).map_err(|e| {
        ImportProblem::format(format!("a safetensors file whose header is wrong: {e}"))
    })?;
    let info = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (from, to) = info.data_offsets;
        let dtype = match info.dtype {
            Stored::F16 => Dtype::F16,
            Stored::BF16 => Dtype::Bf16,
            Stored::F32 => Dtype::F32,
            Stored::F64 => Dtype::F64,
            other => Dtype::Other(other.to_string()),
        };
        let info = Info {
            dtype,
            shape: info.shape.clone(),
            place: Place::Bytes(begin + from..begin + to),
        };
        (name, info)
    };
    Ok(metadata.tensors().into_iter().map(info).collect())
}
