//! Keys of the signed minGRU.

use serde::Serialize;

use super::Minimal;
use super::keys::{InitialState, Keys};
use crate::error::Result;
use crate::graph::{Candidate, Layer};
use crate::layers::{Mixer, SignedMinGru};

/// Keys of the signed minGRU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Signed {
    /// D / M.
    pub expansion: f64,
    /// Whether linear maps of the layer have a bias.
    pub bias: bool,
    /// Shortest and longest time scale, in steps, that gates begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<[f64; 2]>,
    /// Where the state begins.
    pub initial_state: InitialState,
    /// Whether a linear map leads from D back to M; must be `true` where D differs from M.
    pub output_projection: bool,
}

impl Default for Signed {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            bias: true,
            time_scale: None,
            initial_state: InitialState::Learned,
            output_projection: true,
        }
    }
}

impl Signed {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            bias: keys.bias.take().unwrap_or(usual.bias),
            time_scale: keys.time_scale.take(),
            initial_state: keys.initial_state.take().unwrap_or(usual.initial_state),
            output_projection: keys
                .output_projection
                .take()
                .unwrap_or(usual.output_projection),
        }
    }

    /// The paper's cells have the same keys, and some more.
    fn minimal(&self) -> Minimal {
        Minimal {
            expansion: self.expansion,
            candidate: Candidate::Linear,
            normalize_gates: true,
            bias: self.bias,
            time_scale: self.time_scale,
            initial_state: self.initial_state,
            output_projection: self.output_projection,
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        self.minimal().channels(width)
    }

    pub(super) fn layer(&self, width: usize) -> Result<Box<dyn Layer>> {
        self.minimal().layer(width, SignedMinGru)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        self.minimal().mixer(width, SignedMinGru)
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        self.minimal().validate(width)
    }
}
