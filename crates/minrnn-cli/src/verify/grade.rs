//! The grades. No tolerance is picked by hand.

use minrnn_model::compare::Comparison;

use super::case::{Case, Draw};
use super::engine::{Outcome, Truth};
use super::golden::Known;
use super::report::Tally;

/// Cases up to this length share one estimate of the step form's error: a handful of values alone may be right by luck.
pub(super) const SHORT: usize = 64;

/// How many times worse than another right one an engine, or a file that adds in another order, may round.
pub(super) const ACROSS: f64 = 4.0;

/// The ruler of the grade `portable`: twice the error that was measured, and four last places of the largest value.
pub(super) fn portable_tolerance(error: f64, eps: f64, largest: f64) -> f64 {
    2.0 * error + 4.0 * eps * largest
}

/// How far a step form was from the oracle: `(draw, T, errors by tensor)`; tensor 0 is the output, then the states. Features that
/// are drawn in another way have errors of another size: they do not excuse each other.
#[derive(Debug, Clone, Default)]
pub(super) struct StepErrors {
    seen: Vec<(Draw, usize, Vec<f64>)>,
}

/// What narrow products may add to each tensor: as much as their rounding moved a value of it at most. An argument near the
/// middle of two steps may be rounded either way, so that a right engine is nearer to the oracle than that, but not exact.
pub(super) fn moved(rounded: &Truth, plain: &Truth) -> Vec<f64> {
    let most = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        apart.fold(0.0, f64::max)
    };
    std::iter::once((&rounded.output, &plain.output))
        .chain(rounded.states.iter().zip(&plain.states))
        .map(most)
        .collect()
}

impl StepErrors {
    /// Remembers a step run.
    pub(super) fn learn(&mut self, case: &Case, got: &Outcome, truth: &Truth) {
        let errors = tensors(got, truth)
            .map(|(g, w)| {
                g.iter()
                    .zip(w)
                    .fold(0.0, |m: f64, (g, w)| m.max((f64::from(*g) - w).abs()))
            })
            .collect();
        self.seen.push((case.draw, case.time, errors));
    }

    /// Largest error of a tensor in runs that are drawn alike and no longer (or short).
    fn of(&self, tensor: usize, case: &Case) -> f64 {
        let alike = |(draw, t): (Draw, usize)| draw == case.draw && t <= case.time.max(SHORT);
        let known = self.seen.iter().filter(|(d, t, _)| alike((*d, *t)));
        known.map(|(_, _, e)| e[tensor]).fold(0.0, f64::max)
    }

    /// Tolerance of each tensor: twice the step form's error plus `4 eps max|y|`.
    pub(super) fn tolerances(&self, case: &Case, truth: &Truth) -> Vec<f64> {
        let largest = |v: &Vec<f64>| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let scale = std::iter::once(&truth.output)
            .chain(&truth.states)
            .map(largest);
        scale
            .enumerate()
            .map(|(i, y)| portable_tolerance(self.of(i, case), f64::from(f32::EPSILON), y))
            .collect()
    }
}

/// Output and states of a run beside the oracle's.
fn tensors<'a>(
    got: &'a Outcome,
    want: &'a Truth,
) -> impl Iterator<Item = (&'a Vec<f32>, &'a Vec<f64>)> {
    std::iter::once((&got.output, &want.output)).chain(got.states.iter().zip(&want.states))
}

/// Grades a run against the oracle (or another run, widened) with a tolerance for each tensor.
pub(super) fn portable(
    tally: &mut Tally,
    case: &Case,
    got: &Outcome,
    want: &Truth,
    tolerances: &[f64],
) {
    let mut c = Comparison::default();
    for ((g, w), tolerance) in tensors(got, want).zip(tolerances) {
        lengths_agree(g.len(), w.len());
        c.extend(g, w, |_| *tolerance);
    }
    tally.add_at(case.time, &case.name(), &c);
}

/// Grades a run against another one bit for bit.
pub(super) fn exact(tally: &mut Tally, case: &Case, got: &Outcome, want: &Outcome) {
    let mut c = Comparison::default();
    c.extend_exact(&got.output, &want.output);
    got.states
        .iter()
        .zip(&want.states)
        .for_each(|(g, w)| c.extend_exact(g, w));
    tally.add_at(case.time, &case.name(), &c);
}

/// Grades the output of a run within the oracle's running bound.
pub(super) fn bound(tally: &mut Tally, case: &str, got: &[f32], want: &Truth) {
    let mut c = Comparison::default();
    c.extend(got, &want.output, |i| want.bound[i]);
    tally.add(case, &c);
}

/// Grades a run of the golden trace: each value of the output and the states within its bound.
pub(super) fn golden(tally: &mut Tally, got: &Outcome, known: &Known) {
    let mut c = Comparison::default();
    let tensors = std::iter::once(&got.output).chain(&got.states);
    for (got, want) in tensors.zip(&known.tensors) {
        lengths_agree(got.len(), want.values.len());
        let wide: Vec<f64> = want.values.iter().map(|v| f64::from(*v)).collect();
        c.extend(got, &wide, |i| f64::from(want.bounds[i]));
    }
    tally.add(&known.case.name(), &c);
}

/// A run, widened to stand in the oracle's place.
pub(super) fn widen(outcome: &Outcome) -> Truth {
    let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
    Truth {
        output: wide(&outcome.output),
        bound: vec![],
        states: outcome.states.iter().map(wide).collect(),
    }
}

fn lengths_agree(got: usize, want: usize) {
    assert_eq!(
        got, want,
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
