//! Keys of Hyena.

use serde::Serialize;

use super::keys::Keys;
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{self, Mixer};

/// Steps of a sequence, at most: a step of a model keeps as many inputs.
const LONGEST: usize = 1 << 16;
/// Channels of the filter network, at most.
const WIDEST: usize = 1 << 16;

/// Keys of Hyena's mixer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hyena {
    /// D / M.
    pub expansion: f64,
    /// L, steps of the longest sequence, and taps of the filter.
    pub longest: usize,
    /// W, channels of the network that makes the filter.
    pub filter_width: usize,
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

impl Default for Hyena {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            longest: 1024,
            filter_width: 64,
            bias: false,
        }
    }
}

impl Hyena {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            longest: keys.longest.take().unwrap_or(usual.longest),
            filter_width: keys.filter_width.take().unwrap_or(usual.filter_width),
            bias: keys.bias.take().unwrap_or(usual.bias),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        Ok(Box::new(layers::Hyena {
            channels: self.channels(width)?,
            longest: self.longest,
            filter_width: self.filter_width,
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        self.channels(width)?;
        if !(2..=LONGEST).contains(&self.longest) {
            let what = format!(
                "is {}; it must be between 2 and {LONGEST}, the steps of the longest sequence",
                self.longest
            );
            return Err(ModelError::config("cell.longest", what));
        }
        if !(1..=WIDEST).contains(&self.filter_width) {
            let what = format!(
                "is {}; it must be between 1 and {WIDEST}, the channels of the network that makes the filter",
                self.filter_width
            );
            return Err(ModelError::config("cell.filter_width", what));
        }
        Ok(())
    }
}
