//! Keys of the state spaces with a fixed diagonal.

use serde::Serialize;

use super::keys::Keys;
use super::selective::{check_states, check_step};
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{self, Diagonal, Mixer, Space};

/// Keys of S4D.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct S4d {
    /// D / M.
    pub expansion: f64,
    /// N, real numbers of a channel's state; even.
    pub states: usize,
    /// First imaginary parts of the diagonal.
    pub diagonal: Diagonal,
    /// Smallest and largest step size that channels begin with.
    pub step: [f64; 2],
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

/// Keys of H3.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct H3 {
    /// D / M.
    pub expansion: f64,
    /// N, real numbers of a channel's state; even.
    pub states: usize,
    /// Steps that the shift sees.
    pub taps: usize,
    /// First imaginary parts of the diagonal.
    pub diagonal: Diagonal,
    /// Smallest and largest step size that channels begin with.
    pub step: [f64; 2],
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
}

impl Default for S4d {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            states: 64,
            diagonal: Diagonal::Lin,
            step: [1e-3, 0.1],
            bias: false,
        }
    }
}

impl Default for H3 {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            states: 64,
            taps: 64,
            diagonal: Diagonal::Lin,
            step: [1e-3, 0.1],
            bias: false,
        }
    }
}

impl S4d {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            states: keys.states.take().unwrap_or(usual.states),
            diagonal: keys.diagonal.take().unwrap_or(usual.diagonal),
            step: keys.step.take().unwrap_or(usual.step),
            bias: keys.bias.take().unwrap_or(usual.bias),
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    fn space(&self, width: usize) -> Result<Space> {
        Ok(Space {
            channels: self.channels(width)?,
            states: self.states,
            diagonal: self.diagonal,
            step: self.step.into(),
        })
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        Ok(Box::new(layers::S4d(self.space(width)?)))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        check_states(self.channels(width)?, self.states)?;
        if !self.states.is_multiple_of(2) {
            return Err(ModelError::config(
                "cell.states",
                "must be even: a channel's state is N / 2 complex numbers",
            ));
        }
        check_step(self.step)
    }
}

impl H3 {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        let S4d {
            expansion,
            states,
            diagonal,
            step,
            bias,
        } = S4d::take(keys);
        Self {
            expansion,
            states,
            taps: keys.taps.take().unwrap_or(usual.taps),
            diagonal,
            step,
            bias,
        }
    }

    /// The state space in it.
    fn space(&self) -> S4d {
        S4d {
            expansion: self.expansion,
            states: self.states,
            diagonal: self.diagonal,
            step: self.step,
            bias: self.bias,
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        self.space().channels(width)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        Ok(Box::new(layers::H3 {
            space: self.space().space(width)?,
            taps: self.taps,
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        self.space().validate(width)?;
        if !(1..=4096).contains(&self.taps) {
            return Err(ModelError::config(
                "cell.taps",
                "must be between 1 and 4096",
            ));
        }
        Ok(())
    }
}
