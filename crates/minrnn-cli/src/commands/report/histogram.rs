//! How values are distributed, without keeping them: bins over a range that doubles when a value is outside of it. The result does not hang
//! on the order of the values.

/// Bins on each side of 0.
const HALF: i64 = 2048;
/// What is nearer to 0 is 0: the smallest reach.
const LEAST: f64 = f64::MIN_POSITIVE;
/// Bars that are drawn, at most.
const BARS: usize = 48;
/// Share of the values that is left out at each end where bars are drawn.
const TAIL: f64 = 0.001;

/// The distribution of some values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// All values are nearer to 0 than this; a power of two, or 0 where all are 0.
    reach: f64,
    bins: Vec<u64>,
    pub(super) count: u64,
    sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            reach: 0.0,
            bins: vec![0; 2 * HALF as usize],
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Histogram {
    /// One more value; what is no number is left out.
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.make_room(value.abs());
        let bin = match self.reach > 0.0 {
            true => (value / self.reach * HALF as f64).floor() as i64,
            false => 0,
        };
        self.bins[(bin + HALF).clamp(0, 2 * HALF - 1) as usize] += 1;
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn make_room(&mut self, size: f64) {
        if size < self.reach || size == 0.0 {
            return;
        }
        if self.reach == 0.0 {
            // All so far were 0, in a bin that stays. A power of two, as every other value would begin with.
            self.reach = size.log2().floor().exp2().max(LEAST);
        }
        while self.reach <= size {
            let mut wider = vec![0; self.bins.len()];
            for (i, n) in self.bins.iter().enumerate() {
                let bin = (i as i64 - HALF).div_euclid(2) + HALF;
                wider[bin as usize] += n;
            }
            self.bins = wider;
            self.reach *= 2.0;
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The value below which this share of the values is, to the width of a bin.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let wanted = share * self.count as f64;
        let mut seen = 0;
        for (i, n) in self.bins.iter().enumerate() {
            seen += n;
            if seen as f64 >= wanted && *n > 0 {
                return self.at(i as f64 + 0.5).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Share of the values below one, to the width of a bin.
    pub(super) fn share_below(&self, value: f64) -> f64 {
        let inside = |(i, _): &(usize, &u64)| self.at(*i as f64 + 0.5) < value;
        let below: u64 = self
            .bins
            .iter()
            .enumerate()
            .filter(inside)
            .map(|(_, n)| n)
            .sum();
        below as f64 / self.count.max(1) as f64
    }

    /// The value at a place among the bins.
    fn at(&self, bin: f64) -> f64 {
        (bin - HALF as f64) / HALF as f64 * self.reach
    }

    /// Middles of bars and the share of the values in each, but for the tails.
    pub(super) fn bars(&self) -> Vec<(f64, f64)> {
        if self.count == 0 {
            return vec![];
        }
        let place = |share: f64| {
            let wanted = share * self.count as f64;
            let mut seen = 0;
            let reaches = |n: &u64| {
                seen += n;
                *n > 0 && seen as f64 >= wanted
            };
            self.bins.iter().position(reaches).unwrap_or(0)
        };
        let (first, last) = (place(TAIL), place(1.0 - TAIL));
        let width = (last - first + 1).div_ceil(BARS);
        let bar = |at: usize| {
            let end = (at + width).min(self.bins.len());
            let inside: u64 = self.bins[at..end].iter().sum();
            let middle = self.at(at as f64 + width as f64 / 2.0);
            (middle, inside as f64 / self.count as f64)
        };
        (first..=last).step_by(width).map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut all = Histogram::default();
        values.iter().for_each(|v| all.add(*v));
        all
    }

    #[test]
    fn the_order_of_values_is_all_the_same() {
        let values = [0.0, 0.001, -3.0, 1e6, -0.5, 0.25, 7.0, f64::NAN, -1e-9];
        let mut back = values;
        back.reverse();
        let (a, b) = (of(&values), of(&back));
        assert_eq!((&a.bins, a.reach, a.count), (&b.bins, b.reach, 8));
        assert_eq!((a.min, a.max), (-3.0, 1e6));
    }

    #[test]
    fn quantiles_and_bars_of_even_values() {
        let values: Vec<f64> = (0..10_000).map(|i| f64::from(i) / 10_000.0).collect();
        let all = of(&values);
        for share in [0.1, 0.5, 0.9] {
            assert!(
                (all.quantile(share) - share).abs() < 2e-3,
                "{}",
                all.quantile(share)
            );
        }
        let bars = all.bars();
        assert!(
            bars.len() <= BARS && bars.len() > BARS / 2,
            "{}",
            bars.len()
        );
        let shares: f64 = bars.iter().map(|b| b.1).sum();
        assert!(shares > 0.99 && bars[0].0 > 0.0, "{bars:?}");
        assert!((all.mean() - 0.5).abs() < 1e-3);
    }

    #[test]
    fn values_that_are_all_equal_are_one_bar() {
        for value in [0.0, 1.0, -2.0, 1e-20] {
            let bars = of(&[value; 5]).bars();
            assert_eq!(bars.len(), 1, "{value}: {bars:?}");
            assert_eq!(bars[0].1, 1.0);
        }
        assert!(of(&[]).bars().is_empty());
    }
}
