//! A value in its readings: exact, step by step, and as it would be if what stands on an edge fell to the other side.

use super::array::{Array, Data, same};
use super::number::unit;

/// One value of a graph.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// In float64, rounded only where the standard rounds.
    pub(super) exact: Array,
    /// Every operator's result rounded to its type, as an engine of that type does. What decides reads this.
    pub(super) stepwise: Array,
    /// Like `stepwise`, had every decision on an edge fallen the other way; absent where none is behind the value.
    pub(super) other: Option<Array>,
}

impl Value {
    /// A constant or an input: known as it is.
    pub(super) fn known(array: Array) -> Self {
        Self {
            stepwise: array.clone(),
            exact: array,
            other: None,
        }
    }

    /// Whether both readings are known to be the same.
    pub(super) fn settled(&self) -> bool {
        self.exact.shares(&self.stepwise)
    }

    /// Bytes held by all readings.
    pub(super) fn bytes(&self) -> u64 {
        let twin = if self.settled() {
            0
        } else {
            self.stepwise.bytes()
        };
        self.exact.bytes() + twin + self.other.as_ref().map_or(0, Array::bytes)
    }

    /// The step-by-step reading, moved by some times the rounding that was measured: up where `up`, down elsewhere. Whole numbers that both
    /// readings have stay: counts and positions, which nothing rounds.
    pub(super) fn moved(&self, up: impl Fn(usize) -> bool) -> Array {
        const TIMES: f64 = 4.0;
        /// 2^24: beyond it, whole numbers are rounded in f32 too.
        const WHOLE: f64 = 16_777_216.0;
        let (Data::Floats(exact), Data::Floats(steps)) = (self.exact.data(), self.stepwise.data())
        else {
            return self.stepwise.clone();
        };
        if self.settled() || exact.len() != steps.len() {
            return self.stepwise.clone();
        }
        // Where values are rounded at all, it is by half of the last place at least, whatever this one shows.
        let relative = rounding(exact, steps).max(0.5 * unit(self.stepwise.dtype()));
        let one = |(i, (e, s)): (usize, (&f64, &f64))| {
            let apart = (e - s).abs().max(relative * s.abs());
            let counted = e == s && s.fract() == 0.0 && s.abs() <= WHOLE;
            match apart.is_finite() && s.is_finite() && !counted {
                true if up(i) => s + TIMES * apart,
                true => s - TIMES * apart,
                false => *s,
            }
        };
        let all = exact
            .iter()
            .zip(steps.iter())
            .enumerate()
            .map(one)
            .collect();
        self.stepwise.with(all)
    }

    /// Positions whose value hangs on an edge, with the value that it would have then.
    pub(super) fn edges(&self) -> Vec<(usize, Array)> {
        let Some(other) = &self.other else {
            return vec![];
        };
        let apart: Vec<usize> = match (self.stepwise.data(), other.data()) {
            (Data::Ints(a), Data::Ints(b)) => (0..a.len()).filter(|i| a[*i] != b[*i]).collect(),
            (Data::Floats(a), Data::Floats(b)) => {
                let slack = 16.0 * unit(other.dtype());
                let near = |x: f64, y: f64| same(x, y) || (x - y).abs() <= slack * x.abs();
                (0..a.len()).filter(|i| !near(a[*i], b[*i])).collect()
            }
            _ => vec![],
        };
        let one = |i: usize| (i, other.pick(vec![], std::iter::once(i)));
        apart.into_iter().map(one).collect()
    }
}

/// The relative rounding of a tensor: root of the mean square over elements.
fn rounding(exact: &[f64], steps: &[f64]) -> f64 {
    let each = exact.iter().zip(steps).filter(|(e, _)| **e != 0.0);
    let squares = each
        .map(|(e, s)| ((e - s) / e).powi(2))
        .filter(|q| q.is_finite());
    let (sum, count) = squares.fold((0.0, 0u32), |(s, n), q| (s + q, n + 1));
    (sum / f64::from(count.max(1))).sqrt()
}
