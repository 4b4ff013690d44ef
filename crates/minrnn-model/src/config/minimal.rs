//! Keys of the paper's two cells.

use serde::Serialize;

use super::keys::{InitialState, Keys};
use super::whole;
use crate::error::{ModelError, Result};
use crate::graph::{Candidate, Layer};
use crate::layers::{Gates, Mixer, Recurrent, Whole};

/// Keys of the paper's two cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Minimal {
    /// D / M.
    pub expansion: f64,
    /// Activation of the candidate.
    pub candidate: Candidate,
    /// minLSTM: whether gates are normalised to a sum of 1 (minGRU's always are).
    pub normalize_gates: bool,
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

impl Default for Minimal {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            candidate: Candidate::G,
            normalize_gates: true,
            bias: true,
            time_scale: None,
            initial_state: InitialState::Zero,
            output_projection: true,
        }
    }
}

impl Minimal {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            candidate: keys.candidate.take().unwrap_or(usual.candidate),
            normalize_gates: keys.normalize_gates.take().unwrap_or(usual.normalize_gates),
            bias: keys.bias.take().unwrap_or(usual.bias),
            time_scale: keys.time_scale.take(),
            initial_state: keys.initial_state.take().unwrap_or(usual.initial_state),
            output_projection: keys
                .output_projection
                .take()
                .unwrap_or(usual.output_projection),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn layer(
        &self,
        width: usize,
        gates: impl Gates + 'static,
    ) -> Result<Box<dyn Layer>> {
        Ok(Box::new(self.recurrent(
            width,
            gates,
            self.output_projection,
        )?))
    }

    /// The layer of D channels in the middle of a block that has linear maps of its own.
    pub(super) fn mixer(
        &self,
        width: usize,
        gates: impl Gates + 'static,
    ) -> Result<Box<dyn Mixer>> {
        if !self.output_projection {
            return Err(ModelError::config(
                "cell.output_projection",
                "is for block.kind = \"plain\"; Mamba's block has an output projection of its own",
            ));
        }
        Ok(Box::new(Whole(self.recurrent(width, gates, false)?)))
    }

    fn recurrent<G: Gates>(
        &self,
        width: usize,
        gates: G,
        projection: bool,
    ) -> Result<Recurrent<G>> {
        Ok(Recurrent {
            gates,
            channels: self.channels(width)?,
            bias: self.bias,
            time_scale: self.time_scale.map(|[min, max]| (min, max)),
            learned_state: self.initial_state == InitialState::Learned,
            projection,
        })
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let fail = |key: &str, what: &str| Err(ModelError::config(key, what));
        if self.channels(width)? != width && !self.output_projection {
            return fail(
                "cell.output_projection",
                "must be true where cell.expansion is not 1",
            );
        }
        if let Some([min, max]) = self.time_scale {
            // Beyond, f32 takes the gate for 0 or 1.
            if !(min <= max && min >= 0.01 && max <= 1e7) {
                return fail(
                    "cell.time_scale",
                    "must be two numbers of steps from 0.01 to 1e7, the shorter first",
                );
            }
            if !self.bias {
                return fail(
                    "cell.time_scale",
                    "is set by the bias of the gates; set cell.bias = true",
                );
            }
        }
        Ok(())
    }
}
