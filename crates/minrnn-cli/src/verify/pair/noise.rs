//! By how much single values move where last places before them do.
//!
//! The tolerance of an engine is measured by channel and size of the values. Where a value is all rounding (what is left of x less its own
//! mean, divided by the root of a small epsilon) the judge may round to nothing by luck, and an engine that adds in another order is as
//! right. So where an engine is off, the judge runs the case again with sums, products and functions moved by some last places: values
//! that move with them are held to that, those that do not to the tolerance as before.

use anyhow::Result;
use minrnn_model::ruler::ACROSS;

use super::case::{Case, Two};
use super::file::By;
use super::rounding::tensors;

/// Runs with last places moved: one alone may move a value by nothing.
const RUNS: u64 = 4;

/// By tensor, what is allowed of each value.
pub(super) struct Noise(Vec<Vec<f64>>);

impl Noise {
    pub(super) fn of(&self, tensor: usize) -> Option<&[f64]> {
        self.0.get(tensor).map(Vec::as_slice)
    }
}

impl Two {
    /// What is allowed of the values of a case in an engine that rounds otherwise than the judge.
    ///
    /// # Errors
    /// A run that is refused.
    pub(super) fn noise(&self, side: usize, case: &Case) -> Result<Noise> {
        let mut all: Vec<Vec<f64>> = vec![];
        for seed in 0..RUNS {
            let ran = self.whole(side, By::Moved(seed), case)?;
            for (i, t) in tensors(&ran).enumerate() {
                if all.len() <= i {
                    all.push(vec![]);
                }
                let both = t.map(|t| (t.value.exact().floats(), t.value.stepwise().floats()));
                let Some((Some(exact), Some(moved))) = both else {
                    continue;
                };
                all[i].resize(exact.len(), 0.0);
                for (most, (x, y)) in all[i].iter_mut().zip(exact.iter().zip(moved)) {
                    let apart = 2.0 * ACROSS * (x - y).abs();
                    if apart.is_finite() {
                        *most = most.max(apart);
                    }
                }
            }
        }
        Ok(Noise(all))
    }
}
