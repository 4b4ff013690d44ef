//! Keys of attention.

use serde::Serialize;

use super::keys::Keys;
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{self, Mixer};

/// Longest window: its rows are a state.
const LONGEST: usize = 1 << 16;

/// Keys of causal attention over a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attention {
    /// D / M.
    pub expansion: f64,
    /// Heads; their number divides D.
    pub heads: usize,
    /// Steps that a step sees at most, itself among them; `None`: as many as the model has positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
    /// The model's dropout, which the weights of the rows have too.
    #[serde(skip)]
    pub dropout: f64,
}

impl Default for Attention {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            heads: 1,
            window: None,
            bias: false,
            dropout: 0.0,
        }
    }
}

impl Attention {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            heads: keys.heads.take().unwrap_or(usual.heads),
            window: keys.window.take(),
            bias: keys.bias.take().unwrap_or(usual.bias),
            dropout: usual.dropout,
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        let Some(window) = self.window else {
            return Err(ModelError::config(
                "cell.window",
                "is missing: how many steps a step sees; or set positions, which it is then",
            ));
        };
        Ok(Box::new(layers::Attention {
            channels: self.channels(width)?,
            heads: self.heads,
            lag: window - 1,
            dropout: self.dropout,
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let channels = self.channels(width)?;
        if self.heads == 0 || !channels.is_multiple_of(self.heads) {
            let what = format!("must divide {channels}, the channels of all heads");
            return Err(ModelError::config("cell.heads", what));
        }
        match self.window {
            Some(n) if !(2..=LONGEST).contains(&n) => Err(ModelError::config(
                "cell.window",
                format!("must be between 2 and {LONGEST}"),
            )),
            _ => Ok(()),
        }
    }
}
