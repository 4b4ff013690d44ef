//! By how much single values move where last places before them do.
//!
//! The tolerance is measured by channel and size of the values. Where a value is all rounding (what is left of x less its own
//! mean, divided by the root of a small epsilon) the judge may round to nothing by luck, and an engine that adds in another order is as
//! right. So where an engine is off, the judge runs the case again with sums, products and functions moved by some last places: values
//! that move with them are held to that, those that do not to the tolerance as before.
//!
//! The same of two files: a gate that is saturated nearly everywhere has few values by which it is measured, and a sum over thousands of
//! steps is rounded in the order that a file adds in. There the file counts that moves *less*. What two files mean in float64 hangs on no
//! sum, but on constants that one of them may have folded: these are moved by a last place.

use anyhow::Result;
use minrnn_model::ruler::ACROSS;

use super::case::{Case, Ran, Two};
use super::file::By;
use super::rounding::tensors;

/// Runs with last places moved: one alone may move a value by nothing.
const RUNS: u64 = 4;
/// The same of constants: a value may hang on one of them.
const CONSTANTS: u64 = 6;
/// What moves by more than this, of the largest value, shows nothing: it is no rounding that tells two files apart there.
const MOST: f64 = 0.1;

/// By tensor, what is allowed of each value.
pub(super) struct Noise(Vec<Vec<f64>>);

impl Noise {
    pub(super) fn of(&self, tensor: usize) -> Option<&[f64]> {
        self.0.get(tensor).map(Vec::as_slice)
    }

    /// Takes in two readings, `times` the times their distance that is allowed.
    fn add(&mut self, tensor: usize, (x, y): (&[f64], &[f64]), times: f64) {
        if self.0.len() <= tensor {
            self.0.resize_with(tensor + 1, Vec::new);
        }
        self.0[tensor].resize(x.len(), 0.0);
        for (most, (x, y)) in self.0[tensor].iter_mut().zip(x.iter().zip(y)) {
            let apart = times * (x - y).abs();
            if apart.is_finite() {
                *most = most.max(apart);
            }
        }
    }

    /// Of what both move by, the less; nothing where that is more than rounding.
    pub(super) fn smaller(self, other: &Self, of: &Ran) -> Self {
        let largest: Vec<f64> = tensors(of)
            .map(|t| t.map_or(0.0, |t| t.largest()))
            .collect();
        let one = |(i, values): (usize, Vec<f64>)| {
            let most = MOST * largest.get(i).copied().unwrap_or(0.0);
            let theirs = other.of(i).unwrap_or_default();
            let less = |(k, v): (usize, f64)| {
                let v = v.min(theirs.get(k).copied().unwrap_or(0.0));
                if v <= most { v } else { 0.0 }
            };
            values.into_iter().enumerate().map(less).collect()
        };
        Self(self.0.into_iter().enumerate().map(one).collect())
    }
}

impl Two {
    /// What is allowed of the values of a case in an engine that rounds otherwise than the judge.
    ///
    /// # Errors
    /// A run that is refused.
    pub(super) fn noise(&self, side: usize, case: &Case) -> Result<Noise> {
        let mut all = Noise(vec![]);
        for seed in 0..RUNS {
            let ran = self.whole(side, By::Moved(seed), case)?;
            for (i, t) in tensors(&ran).enumerate() {
                let both = t.map(|t| (t.value.exact().floats(), t.value.stepwise().floats()));
                if let Some((Some(exact), Some(moved))) = both {
                    all.add(i, (exact, moved), 2.0 * ACROSS);
                }
            }
        }
        Ok(all)
    }

    /// By how much values hang on the last places of a file's constants.
    pub(super) fn by_constants(&self, side: usize, case: &Case) -> Result<Noise> {
        let usual = self.whole(side, By::Judge, case)?;
        let mut all = Noise(vec![]);
        for seed in 0..CONSTANTS {
            let ran = self.whole(side, By::Nudged(seed), case)?;
            for (i, pair) in tensors(&usual).zip(tensors(&ran)).enumerate() {
                let (Some(a), Some(b)) = pair else { continue };
                if let (Some(x), Some(y)) = (a.value.exact().floats(), b.value.exact().floats())
                    && x.len() == y.len()
                {
                    all.add(i, (x, y), ACROSS);
                }
            }
        }
        Ok(all)
    }
}
