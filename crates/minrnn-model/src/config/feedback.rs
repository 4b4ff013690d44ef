//! Keys of GRU and LSTM.

use serde::Serialize;

use super::keys::{InitialState, Keys};
use super::whole;
use crate::error::{ModelError, Result};
use crate::graph::Layer;
use crate::layers::{self, Feedback, Mixer, Whole};

/// Keys of GRU and LSTM.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rnn {
    /// D / M.
    pub expansion: f64,
    /// Whether linear maps of the layer have a bias: both of the cell, as PyTorch has them, and the output projection.
    pub bias: bool,
    /// Where the states begin.
    pub initial_state: InitialState,
    /// Whether a linear map leads from D back to M; must be `true` where D differs from M.
    pub output_projection: bool,
}

impl Default for Rnn {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            bias: true,
            initial_state: InitialState::Zero,
            output_projection: true,
        }
    }
}

impl Rnn {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            bias: keys.bias.take().unwrap_or(usual.bias),
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

    pub(super) fn layer(&self, width: usize, kind: Feedback) -> Result<Box<dyn Layer>> {
        Ok(Box::new(self.rnn(width, kind, self.output_projection)?))
    }

    /// The layer of D channels in the middle of a block that has linear maps of its own.
    pub(super) fn mixer(&self, width: usize, kind: Feedback) -> Result<Box<dyn Mixer>> {
        if !self.output_projection {
            return Err(ModelError::config(
                "cell.output_projection",
                "is for block.kind = \"plain\"; Mamba's block has an output projection of its own",
            ));
        }
        Ok(Box::new(Whole(self.rnn(width, kind, false)?)))
    }

    fn rnn(&self, width: usize, kind: Feedback, projection: bool) -> Result<layers::Rnn> {
        Ok(layers::Rnn {
            kind,
            channels: self.channels(width)?,
            bias: self.bias,
            learned_state: self.initial_state == InitialState::Learned,
            projection,
        })
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let channels = self.channels(width)?;
        if channels != width && !self.output_projection {
            let what = format!(
                "is false, and the cell has {channels} channels in a model of width {width} (cell.expansion); set it to true, or cell.expansion to 1"
            );
            return Err(ModelError::config("cell.output_projection", what));
        }
        Ok(())
    }
}
