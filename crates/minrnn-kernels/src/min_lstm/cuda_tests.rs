use super::{cuda, slow};
use crate::cuda::View;
use crate::cuda::testing::small;
use crate::recurrence::cuda::Cell;
use crate::recurrence::cuda_tests::{self as shared, Recurrence};
use crate::{Candidate, Size};

struct Kind(Candidate, bool);

const KINDS: [Kind; 4] = [
    Kind(Candidate::G, true),
    Kind(Candidate::Linear, true),
    Kind(Candidate::G, false),
    Kind(Candidate::Linear, false),
];

impl Recurrence for Kind {
    fn cell<'a>(&self, x: &[View<'a>], size: Size) -> Cell<'a> {
        cuda::cell("min_lstm", x[0], size, self.0, self.1)
    }
    fn parts(&self) -> (usize, bool) {
        (3, false)
    }
    fn range(&self, extreme: bool) -> (f64, f64) {
        if extreme {
            (-200.0, 190.0)
        } else {
            (-5.0, 4.0)
        }
    }
    fn slow(&self, x: &[Vec<f64>], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
        slow::min_lstm(&x[0], h0, self.0, self.1, dims)
    }
    fn slow_grad(
        &self,
        x: &[Vec<f64>],
        h0: &[f64],
        dh: &[f64],
        dims: [usize; 3],
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (dpqv, dh0) = slow::min_lstm_grad(&x[0], h0, self.0, self.1, dh, dims);
        (vec![dpqv], dh0)
    }
}

#[test]
fn equals_its_twin_on_a_gpu() {
    for kind in KINDS.into_iter().take(if small() { 1 } else { 4 }) {
        shared::check("min_lstm", &kind);
    }
}

#[test]
fn nan_stays_in_its_channel_on_a_gpu() {
    for kind in KINDS {
        shared::nan_stays_in_its_channel("min_lstm", &kind);
    }
}

#[test]
fn a_captured_launch_replays() {
    shared::replays("min_lstm", &KINDS[0]);
}

#[test]
#[ignore = "a measurement"]
fn tiles_by_time() {
    crate::recurrence::sweep::sweep("min_lstm", &Kind(Candidate::G, true));
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    shared::refuses("min_lstm", &KINDS[0]);
}
