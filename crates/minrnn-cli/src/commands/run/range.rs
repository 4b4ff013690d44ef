//! Values of a saved state that float32 does not square.

use anyhow::{Result, bail};
use minrnn_train::task::FARTHEST;
use safetensors::{Dtype, SafeTensors};

/// Holds a state, which the model has taken, against values whose squares overflow in its norms: it would answer 0. States of earlier
/// versions, which are no safetensors files, are not looked at.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let Ok(file) = SafeTensors::deserialize(bytes) else {
        return Ok(());
    };
    let mut all = file.tensors();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, view) in all.iter().filter(|(_, view)| view.dtype() == Dtype::F32) {
        let (values, _) = view.data().as_chunks::<4>();
        let mut values = values.iter().map(|b| f32::from_le_bytes(*b));
        // A number that is none is beyond as well.
        if let Some(value) = values.find(|v| v.is_nan() || f64::from(v.abs()) > FARTHEST) {
            bail!(
                "`{name}` has {value:e}: float32 does not hold the squares of such values, and the answer would be wrong"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn what_float32_does_not_square_is_no_state() {
        let said = |value: f32| {
            let data: Vec<u8> = [0.5f32, value]
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect();
            let view = TensorView::new(Dtype::F32, vec![1, 2], &data).unwrap();
            check(&safetensors::serialize([("state.0.h", view)], None).unwrap())
        };
        said(-1e14).unwrap();
        for value in [1e38, f32::NEG_INFINITY, f32::NAN] {
            let error = said(value).unwrap_err().to_string();
            assert!(error.starts_with("`state.0.h` has "), "{error}");
        }
    }
}
