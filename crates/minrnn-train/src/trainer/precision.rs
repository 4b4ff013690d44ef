//! In which precision steps are computed, as configured.

use serde::{Deserialize, Serialize};

/// In which precision a training computes. Weights, moments, states and sums along the layers are f32 in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// IEEE f32.
    #[default]
    F32,
    /// f32, the factors of matrix products rounded to 10 bits of mantissa.
    Tf32,
    /// Activations and matrix products in bfloat16.
    Bf16,
    /// Activations and matrix products in float16, gradients of a loss times a factor ([`LossScaleConfig`](super::LossScaleConfig)).
    F16,
}

impl Precision {
    /// As written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
