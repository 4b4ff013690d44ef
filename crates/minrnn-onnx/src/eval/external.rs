//! Constants, in the file or beside it.

use std::path::Path;

use super::EvalErrorKind as Fault;
use super::array::{Array, tensor_dims};
use crate::export::bytes_beside;
use crate::ir::{Tensor, TensorData};

/// The values of a constant. `dir` is the folder of the file; without it, values beside the file are refused.
pub(super) fn array(t: &Tensor, dir: Option<&Path>) -> Result<Array, Fault> {
    let TensorData::External(e) = &t.data else {
        return Array::of_tensor(t);
    };
    let Some(dir) = dir else {
        let what = format!("`{}`: the model's folder is not given", e.location);
        return Err(Fault::External(what));
    };
    let bytes = bytes_beside(t, dir).map_err(|e| Fault::External(e.to_string()))?;
    Array::from_bytes(t.dtype, &tensor_dims(t)?, &bytes)
}
