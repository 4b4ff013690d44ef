//! How far apart two right files may be: measured, not chosen.
//!
//! Each file is run as it is and in float64 on the same inputs; the distance is what f32 costs it. Two files may sum in
//! different orders, so one may be a few times as far off as the other: the tolerance is four times that of the grade
//! `portable`, whose measure is here the *smaller* of the two distances. A file that loses its digits does not widen its own
//! tolerance by that.

use super::case::{Case, Ran, Two};
use super::tensor::Tensor;
use crate::verify::grade::SHORT;

/// Four times the grade `portable`, as where one engine's steps are held to another's.
const ACROSS: f64 = 4.0;

const EPS: f64 = f32::EPSILON as f64;

/// What was seen of two files: `(T, distance of each tensor)` for each.
#[derive(Debug, Default)]
pub(crate) struct Yardstick {
    seen: [Vec<(usize, Vec<f64>)>; 2],
    /// A tolerance that the caller chose.
    given: Option<f64>,
}

impl Yardstick {
    pub(crate) fn new(given: Option<f64>) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// Remembers a run of file `side` as it is, and the same in float64.
    pub(crate) fn learn(&mut self, side: usize, case: &Case, narrow: &Ran, wide: &Ran) {
        let distances = tensors(narrow)
            .zip(tensors(wide))
            .map(|(n, w)| match (n, w) {
                (Some(n), Some(w)) if n.shape == w.shape => distance(n, w),
                _ => f64::INFINITY,
            });
        self.seen[side].push((case.time, distances.collect()));
    }

    /// Largest distance of a tensor in runs that are no longer than T (or short); `None` if nothing was measured.
    fn of(&self, side: usize, tensor: usize, time: usize) -> Option<f64> {
        let known = self.seen[side]
            .iter()
            .filter(|(t, _)| *t <= time.max(SHORT));
        known
            .filter_map(|(_, d)| d.get(tensor))
            .copied()
            .reduce(f64::max)
    }

    /// The tolerance for a tensor of a case, with values as large as `largest`.
    pub(crate) fn tolerance(&self, case: &Case, tensor: usize, largest: f64) -> f64 {
        if let Some(given) = self.given {
            return given;
        }
        let both = [0, 1].map(|side| self.of(side, tensor, case.time));
        let measured = both
            .into_iter()
            .flatten()
            .filter(|d| d.is_finite())
            .reduce(f64::min);
        match measured {
            Some(distance) => ACROSS * (2.0 * distance + 4.0 * EPS * largest),
            // Nothing measured: a recurrence errs by at most eps T times the largest value, whatever its gates.
            None => ACROSS * EPS * (4.0 + case.time as f64) * largest,
        }
    }

    /// Whether distances were measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.seen.iter().any(|s| !s.is_empty())
    }
}

/// Largest distance of values; infinite where they cannot be compared.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    a.values.iter().zip(&b.values).fold(0.0, |m: f64, (x, y)| {
        let d = if x == y { 0.0 } else { (x - y).abs() };
        m.max(if d.is_nan() { f64::INFINITY } else { d })
    })
}

/// Outputs, then states.
pub(crate) fn tensors(ran: &Ran) -> impl Iterator<Item = Option<&Tensor>> {
    ran.outputs
        .iter()
        .map(Some)
        .chain(ran.states.iter().map(Option::as_ref))
}

/// Their names, as the second file has them.
pub(crate) fn names(two: &Two) -> Vec<String> {
    let outputs = two.face.outputs.iter().map(|n| n[1].clone());
    outputs
        .chain(two.face.states.iter().map(|s| s.second.1.clone()))
        .collect()
}
