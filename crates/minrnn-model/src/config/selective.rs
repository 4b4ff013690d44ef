//! Keys of the selective state spaces.

use serde::Serialize;

use super::keys::Keys;
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{Mixer, S6, Ssd};

/// Channels of a state, at most: D N.
const WIDEST: usize = 10_000_000;
/// The smallest step size that a model begins with, as in the papers' code.
const LEAST_STEP: f64 = 1e-4;

/// Keys of Mamba's mixer (S6).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mamba {
    /// D / M.
    pub expansion: f64,
    /// N, states of a channel.
    pub states: usize,
    /// R, channels that the step sizes are made of; `None`: M / 16, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Smallest and largest step size that channels begin with.
    pub step: [f64; 2],
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

/// Keys of Mamba-2's mixer (SSD).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mamba2 {
    /// D / M.
    pub expansion: f64,
    /// N, states of a channel.
    pub states: usize,
    /// P, channels of a head.
    pub head_channels: usize,
    /// G, groups of heads; those of a group share their B and C.
    pub groups: usize,
    /// In Mamba's block: groups of channels that the gated norm takes by themselves; `None`: as many as `groups`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_groups: Option<usize>,
    /// Smallest and largest step size that heads begin with.
    pub step: [f64; 2],
    /// Smallest and largest decay of a unit of step size that heads begin with.
    pub rate: [f64; 2],
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

impl Default for Mamba {
    fn default() -> Self {
        Self {
            expansion: 2.0,
            states: 16,
            rank: None,
            step: [1e-3, 0.1],
            bias: false,
        }
    }
}

impl Default for Mamba2 {
    fn default() -> Self {
        Self {
            expansion: 2.0,
            states: 128,
            head_channels: 64,
            groups: 1,
            norm_groups: None,
            step: [1e-3, 0.1],
            rate: [1.0, 16.0],
            bias: false,
        }
    }
}

impl Mamba {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            states: keys.states.take().unwrap_or(usual.states),
            rank: keys.rank.take(),
            step: keys.step.take().unwrap_or(usual.step),
            bias: keys.bias.take().unwrap_or(usual.bias),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        Ok(Box::new(S6 {
            channels: self.channels(width)?,
            states: self.states,
            rank: self.rank.unwrap_or(width.div_ceil(16)),
            step: self.step.into(),
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let channels = self.channels(width)?;
        check_states(channels, self.states)?;
        check_step(self.step)?;
        match self.rank {
            Some(rank) if !(1..=channels).contains(&rank) => Err(ModelError::config(
                "cell.rank",
                format!("must be between 1 and {channels}, the channels of the state space"),
            )),
            _ => Ok(()),
        }
    }
}

impl Mamba2 {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            states: keys.states.take().unwrap_or(usual.states),
            head_channels: keys.head_channels.take().unwrap_or(usual.head_channels),
            groups: keys.groups.take().unwrap_or(usual.groups),
            norm_groups: keys.norm_groups.take(),
            step: keys.step.take().unwrap_or(usual.step),
            rate: keys.rate.take().unwrap_or(usual.rate),
            bias: keys.bias.take().unwrap_or(usual.bias),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize, eps: f64) -> Result<Box<dyn Mixer>> {
        Ok(Box::new(Ssd {
            channels: self.channels(width)?,
            states: self.states,
            head_channels: self.head_channels,
            groups: self.groups,
            norm_groups: self.norm_groups.unwrap_or(self.groups),
            eps,
            step: self.step.into(),
            rate: self.rate.into(),
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let fail = |key: &str, what: String| Err(ModelError::config(key, what));
        let channels = self.channels(width)?;
        check_states(channels, self.states)?;
        check_step(self.step)?;
        let divides = |n: usize, of: usize| n > 0 && of.is_multiple_of(n);
        if !divides(self.head_channels, channels) {
            return fail(
                "cell.head_channels",
                format!("must divide {channels}, the channels of the state space"),
            );
        }
        let heads = channels / self.head_channels;
        if !divides(self.groups, heads) {
            return fail(
                "cell.groups",
                format!("must divide {heads}, the number of heads"),
            );
        }
        if self.norm_groups.is_some_and(|n| !divides(n, channels)) {
            return fail(
                "cell.norm_groups",
                format!("must divide {channels}, the channels of the state space"),
            );
        }
        let [min, max] = self.rate;
        if !(min <= max && min >= 1e-6 && max <= 1e6) {
            return fail(
                "cell.rate",
                "must be two numbers from 1e-6 to 1e6, the smaller first".into(),
            );
        }
        Ok(())
    }
}

pub(super) fn check_states(channels: usize, states: usize) -> Result<()> {
    let most = (WIDEST / channels).max(1);
    if (1..=most).contains(&states) {
        return Ok(());
    }
    Err(ModelError::config(
        "cell.states",
        format!("must be between 1 and {most} with {channels} channels"),
    ))
}

pub(super) fn check_step([min, max]: [f64; 2]) -> Result<()> {
    if min <= max && min >= LEAST_STEP && max <= 1e3 {
        return Ok(());
    }
    Err(ModelError::config(
        "cell.step",
        format!("must be two step sizes from {LEAST_STEP} to 1000, the smaller first"),
    ))
}
