//! minGRU as it is defined, in float64: gates, then the linear recurrence; the gradient by the chain rule.

use crate::Candidate;
use crate::linear_scan::slow::{linear_scan, linear_scan_grad};

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// The candidate and its slope.
pub fn candidate(v: f64, kind: Candidate) -> (f64, f64) {
    match kind {
        Candidate::Linear => (v, 1.0),
        Candidate::G if v >= 0.0 => (v + 0.5, 1.0),
        Candidate::G => (sigmoid(v), sigmoid(v) * sigmoid(-v)),
    }
}

/// Where k of element `i` of a `[B,T,D]` tensor stands in kv `[B,T,2D]`; v stands d further.
fn place(i: usize, d: usize) -> usize {
    i / d * 2 * d + i % d
}

/// `a` and `b` of the recurrence, `[B,T,D]`.
fn coefficients(kv: &[f64], kind: Candidate, d: usize) -> (Vec<f64>, Vec<f64>) {
    (0..kv.len() / 2)
        .map(|i| {
            let (k, v) = (kv[place(i, d)], kv[place(i, d) + d]);
            (sigmoid(-k), sigmoid(k) * candidate(v, kind).0)
        })
        .unzip()
}

/// h `[B,T,D]` from kv `[B,T,2D]` and h0 `[B,D]`; `dims` is `[B,T,D]`.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn min_gru(kv: &[f64], h0: &[f64], kind: Candidate, dims: [usize; 3]) -> Vec<f64> {
    let (a, b) = coefficients(kv, kind, dims[2]);
    linear_scan(&a, &b, h0, dims)
}

/// The gradients of kv and h0, given the gradient `dh` of h.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn min_gru_grad(
    kv: &[f64],
    h0: &[f64],
    kind: Candidate,
    dh: &[f64],
    dims: [usize; 3],
) -> (Vec<f64>, Vec<f64>) {
    let d = dims[2];
    let (a, b) = coefficients(kv, kind, d);
    let h = linear_scan(&a, &b, h0, dims);
    let (da, db, dh0) = linear_scan_grad(&a, h0, &h, dh, dims);
    let mut dkv = vec![0.0; kv.len()];
    for i in 0..da.len() {
        let at = place(i, d);
        let (z, z_slope) = (sigmoid(kv[at]), sigmoid(kv[at]) * sigmoid(-kv[at]));
        let (c, slope) = candidate(kv[at + d], kind);
        dkv[at] = db[i] * c * z_slope - da[i] * z_slope;
        dkv[at + d] = db[i] * z * slope;
    }
    (dkv, dh0)
}
