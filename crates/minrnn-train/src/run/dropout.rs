//! Dropout of a run: masks depend on (seed, step, site, index) only, so that they are the same on every device, with any number of
//! threads, and after a resume.

use candle_core::{Result, Tensor};
use minrnn_kernels::dropout::{self, Draw};

/// Where a run's masks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropout {
    /// Seed of the training.
    pub seed: u64,
    /// Step of the training.
    pub step: u64,
}

impl Dropout {
    /// `x / (1 - p)` where kept, 0 with probability p.
    pub(super) fn apply(&self, x: &Tensor, p: f64, site: usize) -> Result<Tensor> {
        let Self { seed, step } = *self;
        dropout::dropout(x, p, Draw { seed, step, site })
    }
}

/// The factors of `len` elements at a site: 0 with probability p, else `1 / (1 - p)`.
pub(crate) fn mask(seed: u64, step: u64, site: usize, p: f64, len: usize) -> Vec<f32> {
    dropout::mask(Draw { seed, step, site }, p, len)
}
