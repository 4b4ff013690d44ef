use super::{cuda, slow};
use crate::Size;
use crate::cuda::View;
use crate::recurrence::cuda::Cell;
use crate::recurrence::cuda_tests::{self as shared, Recurrence};

struct Scan;

impl Recurrence for Scan {
    fn cell<'a>(&self, x: &[View<'a>], size: Size) -> Cell<'a> {
        cuda::cell("linear_scan", x[0], Some(x[1]), size)
    }
    fn parts(&self) -> (usize, bool) {
        (2, true)
    }
    fn range(&self, extreme: bool) -> (f64, f64) {
        if extreme { (-0.999, 1.0) } else { (-0.9, 0.8) }
    }
    fn slow(&self, x: &[Vec<f64>], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
        slow::linear_scan(&x[0], &x[1], h0, dims)
    }
    fn slow_grad(
        &self,
        x: &[Vec<f64>],
        h0: &[f64],
        dh: &[f64],
        dims: [usize; 3],
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let h = slow::linear_scan(&x[0], &x[1], h0, dims);
        let (da, db, dh0) = slow::linear_scan_grad(&x[0], h0, &h, dh, dims);
        (vec![da, db], dh0)
    }
}

#[test]
fn equals_its_twin_on_a_gpu() {
    shared::check("linear_scan", &Scan);
}

#[test]
fn nan_stays_in_its_channel_on_a_gpu() {
    shared::nan_stays_in_its_channel("linear_scan", &Scan);
}

#[test]
fn a_captured_launch_replays() {
    shared::replays("linear_scan", &Scan);
}

#[test]
#[ignore = "a measurement"]
fn tiles_by_time() {
    crate::recurrence::sweep::sweep("linear_scan", &Scan);
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    shared::refuses("linear_scan", &Scan);
}
