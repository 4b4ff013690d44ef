//! How far apart two right files may be: measured, not chosen.
//!
//! The judge runs each file in float64 and, beside it, with every operation rounded to its type. The distance is what its
//! types cost that file. With it goes the one ruler of `grade`: twice the cost, and `4 eps max|y|`.
//! - What two files *mean* (float64 against float64) may differ by that: a constant that one exporter folded is rounded once,
//!   which is less than the rounding of the operations that it stands for.
//! - What they come to when *rounded*, and what an *engine* gives of a file, by four times that: they add in other orders, so
//!   one may round a few times worse.
//!
//! Between two files it is the smaller cost that counts: a file that loses its digits does not widen its own tolerance.

use minrnn_onnx::eval::Array;

use super::case::{Case, Ran};
use super::port::Elem;
use super::tensor::{Reading, Tensor};
use crate::verify::grade::{ACROSS, SHORT, portable_tolerance};

/// What is held to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Two files in float64.
    Meaning,
    /// Two files, every operation rounded.
    Rounded,
    /// An engine to the judge, both on the file of that side.
    Engine(usize),
}

/// What was seen of two files: `(T, distance of each tensor)` for each.
#[derive(Debug, Default)]
pub(super) struct Rounding {
    seen: [Vec<(usize, Vec<f64>)>; 2],
    /// A tolerance that the caller chose.
    given: Option<f64>,
}

impl Rounding {
    pub(super) fn new(given: Option<f64>) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// Remembers a run of the judge on file `side`.
    pub(super) fn learn(&mut self, side: usize, case: &Case, ran: &Ran) {
        let distances = tensors(ran).map(|t| t.map_or(f64::INFINITY, distance));
        self.seen[side].push((case.time, distances.collect()));
    }

    /// Remembers a run beside the same without the rounding of short floats.
    pub(super) fn learn_from(&mut self, side: usize, case: &Case, ran: &Ran, plain: &Ran) {
        let both = tensors(ran).zip(tensors(plain));
        let distances = both.map(|pair| match pair {
            (Some(a), Some(b)) => apart(a.value.exact(), b.value.exact()),
            _ => f64::INFINITY,
        });
        self.seen[side].push((case.time, distances.collect()));
    }

    /// Remembers that a run of one tensor cost that.
    #[cfg(test)]
    pub(super) fn saw(&mut self, side: usize, time: usize, distance: f64) {
        self.seen[side].push((time, vec![distance]));
    }

    /// Largest finite distance of a tensor in runs that are no longer than T (or short).
    fn of(&self, side: usize, tensor: usize, time: usize) -> Option<f64> {
        let known = self.seen[side]
            .iter()
            .filter(|(t, _)| *t <= time.max(SHORT));
        known
            .filter_map(|(_, d)| d.get(tensor))
            .copied()
            .filter(|d| d.is_finite())
            .reduce(f64::max)
    }

    /// The tolerance for a tensor of a case: of what is held to what, of types `elems`, with values as large as `largest`.
    pub(super) fn tolerance(
        &self,
        held: Held,
        (time, tensor): (usize, usize),
        elems: [Elem; 2],
        largest: f64,
    ) -> f64 {
        if let Some(given) = self.given {
            return given;
        }
        let eps = elems.map(place).into_iter().fold(0.0, f64::max);
        let both = [0, 1].map(|side| self.of(side, tensor, time));
        let measured = match held {
            Held::Engine(side) => both[side],
            _ => both.into_iter().flatten().reduce(f64::min),
        };
        // Nothing finite was measured: a recurrence whose gates are in [0, 1] errs by eps T times the largest value at most.
        let cost = measured.unwrap_or(eps * time as f64 * largest);
        let ruler = portable_tolerance(cost, eps, largest);
        match held {
            Held::Meaning => ruler,
            Held::Rounded | Held::Engine(_) => ACROSS * ruler,
        }
    }
}

/// Relative size of the last place that is vouched for. The judge computes in float64 itself, so of values of that type half of
/// the digits.
fn place(elem: Elem) -> f64 {
    match elem {
        Elem::F64 => f64::EPSILON.sqrt(),
        Elem::F16 => 2f64.powi(-10),
        Elem::BF16 => 2f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}

/// Largest distance between the two readings of a tensor; infinite where they cannot be compared.
pub(super) fn distance(t: &Tensor) -> f64 {
    apart(t.value.exact(), t.value.stepwise())
}

fn apart(a: &Array, b: &Array) -> f64 {
    let (Some(a), Some(b)) = (a.floats(), b.floats()) else {
        return 0.0;
    };
    a.iter().zip(b).fold(0.0, |m: f64, (x, y)| {
        let d = if x == y { 0.0 } else { (x - y).abs() };
        m.max(if d.is_nan() { f64::INFINITY } else { d })
    })
}

/// Whether rounding was seen at all in a tensor.
pub(super) fn rounds(t: &Tensor) -> bool {
    t.array(Reading::Exact).floats().is_some() && t.value.dtype() != Elem::F64
}

/// Outputs, then states.
pub(super) fn tensors(ran: &Ran) -> impl Iterator<Item = Option<&Tensor>> {
    ran.outputs
        .iter()
        .map(Some)
        .chain(ran.states.iter().map(Option::as_ref))
}
