//! Keys of Aaren.

use serde::Serialize;

use super::keys::Keys;
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{self, Mixer};

/// Keys of Aaren's mixer: attention of a learned query as a recurrence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aaren {
    /// D / M.
    pub expansion: f64,
    /// P, channels of a head; `None`: D, one head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_channels: Option<usize>,
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

impl Default for Aaren {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            head_channels: None,
            bias: false,
        }
    }
}

impl Aaren {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            head_channels: keys.head_channels.take(),
            bias: keys.bias.take().unwrap_or(usual.bias),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        let channels = self.channels(width)?;
        Ok(Box::new(layers::Aaren {
            channels,
            head_channels: self.head_channels.unwrap_or(channels),
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let channels = self.channels(width)?;
        match self.head_channels {
            Some(n) if n == 0 || !channels.is_multiple_of(n) => Err(ModelError::config(
                "cell.head_channels",
                format!("must divide {channels}, the channels of all heads"),
            )),
            _ => Ok(()),
        }
    }
}
