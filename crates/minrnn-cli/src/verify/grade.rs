//! The grades. No tolerance is picked by hand.

use minrnn_model::compare::Comparison;
use minrnn_model::ruler::{self, Seen};
use minrnn_model::trial::{Case, Draw, Outcome, Truth};

use super::golden::Known;
use super::report::Tally;

/// How far a step form was from the oracle, by tensor: 0 is the output, then the states. Features that are drawn in another way have
/// errors of another size: they do not excuse each other.
#[derive(Debug, Clone, Default)]
pub(super) struct StepErrors {
    seen: Seen<Draw, Vec<f64>>,
}

/// What narrow products may add to each tensor: as much as their rounding moved a value of it at most. An argument near the
/// middle of two steps may be rounded either way, so that a right engine is nearer to the oracle than that, but not exact.
pub(super) fn moved(rounded: &Truth, plain: &Truth) -> Vec<f64> {
    let most = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        apart.fold(0.0, f64::max)
    };
    rounded.tensors().zip(plain.tensors()).map(most).collect()
}

impl StepErrors {
    /// Remembers a step run.
    pub(super) fn learn(&mut self, case: &Case, got: &Outcome, truth: &Truth) {
        let errors = got.tensors().zip(truth.tensors()).map(|(got, want)| {
            let apart = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs());
            apart.fold(0.0, f64::max)
        });
        self.remember(case, errors);
    }

    fn remember(&mut self, case: &Case, sizes: impl Iterator<Item = f64>) {
        let seen = self.seen.of(case.draw, case.time);
        for (at, most) in sizes.enumerate() {
            match seen.get_mut(at) {
                Some(known) => *known = most.max(*known),
                None => seen.push(most),
            }
        }
    }

    /// Remembers what moved each tensor of a run, and gives what moved it at most in runs that are drawn alike and no longer. Few values
    /// alone may all lie far from the middle of two steps, where one of another run does not.
    pub(super) fn at_most(&mut self, case: &Case, moved: &[f64]) -> Vec<f64> {
        self.remember(case, moved.iter().copied());
        (0..moved.len()).map(|i| self.of(i, case)).collect()
    }

    /// Largest error of a tensor in runs that are drawn alike and no longer (or short).
    fn of(&self, tensor: usize, case: &Case) -> f64 {
        let known = self.seen.up_to(case.draw, case.time);
        let errors = known.filter_map(|all| all.get(tensor));
        errors.copied().fold(0.0, f64::max)
    }

    /// Tolerance of each tensor.
    pub(super) fn tolerances(&self, case: &Case, truth: &Truth) -> Vec<f64> {
        let largest = |v: &Vec<f64>| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let scale = truth.tensors().map(largest).enumerate();
        scale
            .map(|(i, y)| ruler::tolerance(self.of(i, case), f64::from(f32::EPSILON), y))
            .collect()
    }
}

/// Grades a run against the oracle (or another run, widened) with a tolerance for each tensor.
pub(super) fn portable(
    tally: &mut Tally,
    case: &Case,
    got: &Outcome,
    want: &Truth,
    tolerances: &[f64],
) {
    whole(got, want.tensors().map(Vec::len));
    let by = |least: f64| {
        let wide: Vec<f64> = tolerances.iter().map(|t| t.max(least)).collect();
        got.within(want, &wide)
    };
    let c = flushed(tally, by);
    let mut sizes = got.tensors().zip(want.tensors()).map(|(got, want)| {
        let pairs = got.iter().zip(want);
        pairs.fold((0.0f64, 0.0f64), |(apart, most), (g, w)| {
            (apart.max((f64::from(*g) - w).abs()), most.max(w.abs()))
        })
    });
    let output = sizes.next().map_or(0.0, |(apart, _)| apart);
    tally.sizes(output, sizes);
    tally.add_at(case.time, &case.name(), &c);
}

/// The smallest number of float32 that has all its digits. What is smaller is denormal, and 0 to engines that flush.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

/// The comparison by the usual tolerances; where it fails, the engine takes denormal numbers for 0 and that alone is why, the one that
/// lets it, which the row tells. `by`: with a tolerance of that at least.
fn flushed(tally: &mut Tally, by: impl Fn(f64) -> Comparison) -> Comparison {
    let usual = by(0.0);
    if usual.holds() || !tally.is_of(FLUSHES) {
        return usual;
    }
    let wide = by(SMALLEST);
    match wide.holds() {
        true => {
            tally.remark(FLUSHED);
            wide
        }
        false => usual,
    }
}

/// The engine that takes denormal numbers for 0.
const FLUSHES: &str = "tract";
const FLUSHED: &str = "some values are denormal numbers (smaller than 1.2e-38), which tract takes for 0; differences of that size are not counted";

/// Grades a run against another one bit for bit.
pub(super) fn exact(tally: &mut Tally, case: &Case, got: &Outcome, want: &Outcome) {
    whole(got, want.tensors().map(Vec::len));
    tally.add_at(case.time, &case.name(), &got.equals(want));
}

/// Grades the output of a run within the oracle's running bound.
pub(super) fn bound(tally: &mut Tally, case: &str, got: &[f32], want: &Truth) {
    let mut c = Comparison::default();
    c.extend(got, &want.output, |i| want.bound[i]);
    tally.add(case, &c);
}

/// Grades a run of the golden trace: each value of the output and the states within its bound.
pub(super) fn golden(tally: &mut Tally, got: &Outcome, known: &Known) {
    whole(got, known.tensors.iter().map(|t| t.values.len()));
    let by = |least: f64| {
        let mut c = Comparison::default();
        for (got, want) in got.tensors().zip(&known.tensors) {
            let wide: Vec<f64> = want.values.iter().map(|v| f64::from(*v)).collect();
            c.extend(got, &wide, |i| f64::from(want.bounds[i]).max(least));
        }
        c
    };
    let c = flushed(tally, by);
    tally.add(&known.case.name(), &c);
}

fn whole(got: &Outcome, want: impl Iterator<Item = usize>) {
    assert!(
        got.tensors().map(Vec::len).eq(want),
        "an engine gave a tensor of another size, which the contract check must have refused"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::report::Grade;

    fn case(time: usize) -> Case {
        Case {
            batch: 1,
            time,
            draw: Draw::Usual,
            ids: vec![0; time],
            features: vec![],
            states: None,
            lengths: None,
            reset: None,
            pieces: vec![],
        }
    }

    fn truth(x: f64) -> Truth {
        Truth {
            output: vec![x],
            bound: vec![1e-3],
            states: vec![vec![1.0]],
        }
    }

    fn outcome(x: f32) -> Outcome {
        Outcome {
            output: vec![x],
            states: vec![vec![1.0]],
        }
    }

    /// A case whose few values all lay far from the middle of two steps has what others of its kind were moved.
    #[test]
    fn what_rounding_moved_once_it_may_move_again() {
        let mut moved = StepErrors::default();
        assert_eq!(moved.at_most(&case(300), &[0.5, 0.0]), [0.5, 0.0]);
        assert_eq!(moved.at_most(&case(3), &[0.125, 0.25]), [0.125, 0.25]);
        assert_eq!(moved.at_most(&case(1), &[0.0, 0.0]), [0.125, 0.25]);
        let large = Case {
            draw: Draw::Large,
            ..case(1)
        };
        assert_eq!(moved.at_most(&large, &[0.0, 0.0]), [0.0, 0.0]);
    }

    #[track_caller]
    fn holds(got: &Outcome, tolerances: &[f64]) -> bool {
        let mut tally = Tally::new("t", "f", "o", Grade::Portable);
        portable(&mut tally, &case(1), got, &truth(1.0), tolerances);
        tally.row().holds
    }

    #[test]
    fn a_portable_row_is_twice_the_step_forms_error() {
        let mut steps = StepErrors::default();
        steps.learn(&case(1), &outcome(1.25), &truth(1.0));
        let tolerances = steps.tolerances(&case(1), &truth(1.0));
        assert_eq!(tolerances[0], 0.5 + 4.0 * f64::from(f32::EPSILON));
        assert!(holds(&outcome(1.5), &tolerances) && !holds(&outcome(1.51), &tolerances));
        assert!(!holds(&outcome(f32::NAN), &tolerances));
        let bad_state = Outcome {
            states: vec![vec![1.1]],
            ..outcome(1.0)
        };
        assert!(
            !holds(&bad_state, &tolerances),
            "states are graded too, each by its own error"
        );
    }

    #[test]
    fn errors_of_long_runs_do_not_loosen_short_ones() {
        let mut steps = StepErrors::default();
        steps.learn(&case(5000), &outcome(2.0), &truth(1.0));
        assert!(steps.tolerances(&case(10), &truth(1.0))[0] < 1e-5);
        assert!(steps.tolerances(&case(5000), &truth(1.0))[0] > 1.9);
    }

    #[test]
    fn errors_of_large_features_do_not_loosen_usual_ones() {
        let mut steps = StepErrors::default();
        let large = Case {
            draw: Draw::Large,
            ..case(10)
        };
        steps.learn(&large, &outcome(2.0), &truth(1.0));
        assert!(steps.tolerances(&case(10), &truth(1.0))[0] < 1e-5);
        assert!(steps.tolerances(&large, &truth(1.0))[0] > 1.9);
    }

    #[test]
    fn the_bound_is_kept_value_by_value() {
        for (x, wanted) in [(1.0009, true), (1.0011, false), (f32::INFINITY, false)] {
            let mut tally = Tally::new("t", "f", "o", Grade::Bound);
            bound(&mut tally, "case", &[x], &truth(1.0));
            assert_eq!(tally.row().holds, wanted, "{x}");
        }
    }
}
