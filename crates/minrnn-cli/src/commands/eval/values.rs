//! How far predicted values are off.

use minrnn_train::data::Statistics;

/// Sums of the errors of each value, and of its targets.
#[derive(Debug, Clone)]
pub(super) struct Values(Vec<Sums>);

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: f64,
    absolute: f64,
    square: f64,
    /// Mean of the targets, and the sum of their squared deviations from it (Welford).
    mean: f64,
    spread: f64,
}

/// One value, in the units of the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Mean of `|prediction - target|`.
    pub(super) mae: f64,
    /// Root of the mean of `(prediction - target)^2`.
    pub(super) rmse: f64,
    /// `1 - sum (prediction - target)^2 / sum (target - mean target)^2`; none where all targets are equal.
    pub(super) r2: Option<f64>,
}

impl Values {
    pub(super) fn new(width: usize) -> Self {
        Self(vec![Sums::default(); width])
    }

    /// One target of all values; gives their mean squared error.
    pub(super) fn add(&mut self, want: &[f32], got: &[f32]) -> f64 {
        let mut total = 0.0;
        for (sums, (want, got)) in self.0.iter_mut().zip(want.iter().zip(got)) {
            let (want, got) = (f64::from(*want), f64::from(*got));
            let error = got - want;
            sums.count += 1.0;
            sums.absolute += error.abs();
            sums.square += error * error;
            let from = want - sums.mean;
            sums.mean += from / sums.count;
            sums.spread += from * (want - sums.mean);
            total += error * error;
        }
        total / want.len() as f64
    }

    /// Of the targets.
    pub(super) fn statistics(&self) -> Statistics {
        let of = |what: fn(&Sums) -> f64| self.0.iter().map(what).collect();
        Statistics {
            mean: of(|s| s.mean),
            std: of(|s| (s.spread / s.count.max(1.0)).sqrt()),
        }
    }

    pub(super) fn scores(&self) -> impl Iterator<Item = Score> {
        self.0.iter().map(|s| Score {
            mae: s.absolute / s.count,
            rmse: (s.square / s.count).sqrt(),
            r2: (s.spread > 0.0).then(|| 1.0 - s.square / s.spread),
        })
    }
}
