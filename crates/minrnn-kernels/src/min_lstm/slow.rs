//! minLSTM as it is defined, in float64: gates as plain quotients (good to |p|, |q| of some 300),
//! then the linear recurrence; the gradient by the chain rule.

use crate::Candidate;
use crate::linear_scan::slow::{linear_scan, linear_scan_grad};
use crate::min_gru::slow::{candidate, sigmoid};

/// Where p of element `i` of a `[B,T,D]` tensor stands in pqv `[B,T,3D]`; q and v follow at d and 2d.
fn place(i: usize, d: usize) -> usize {
    i / d * 3 * d + i % d
}

/// The factors of the last state and of the candidate.
fn gates(p: f64, q: f64, normalize: bool) -> (f64, f64) {
    let (f, i) = (sigmoid(p), sigmoid(q));
    if normalize {
        (f / (f + i), i / (f + i))
    } else {
        (f, i)
    }
}

fn coefficients(pqv: &[f64], kind: Candidate, normalize: bool, d: usize) -> (Vec<f64>, Vec<f64>) {
    (0..pqv.len() / 3)
        .map(|i| {
            let at = place(i, d);
            let (forget, input) = gates(pqv[at], pqv[at + d], normalize);
            (forget, input * candidate(pqv[at + 2 * d], kind).0)
        })
        .unzip()
}

/// h `[B,T,D]` from pqv `[B,T,3D]` and h0 `[B,D]`; `dims` is `[B,T,D]`.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn min_lstm(
    pqv: &[f64],
    h0: &[f64],
    kind: Candidate,
    normalize: bool,
    dims: [usize; 3],
) -> Vec<f64> {
    let (a, b) = coefficients(pqv, kind, normalize, dims[2]);
    linear_scan(&a, &b, h0, dims)
}

/// The gradients of pqv and h0, given the gradient `dh` of h.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn min_lstm_grad(
    pqv: &[f64],
    h0: &[f64],
    kind: Candidate,
    normalize: bool,
    dh: &[f64],
    dims: [usize; 3],
) -> (Vec<f64>, Vec<f64>) {
    let d = dims[2];
    let (a, b) = coefficients(pqv, kind, normalize, d);
    let h = linear_scan(&a, &b, h0, dims);
    let (da, db, dh0) = linear_scan_grad(&a, h0, &h, dh, dims);
    let mut dpqv = vec![0.0; pqv.len()];
    for n in 0..da.len() {
        let at = place(n, d);
        let (p, q) = (pqv[at], pqv[at + d]);
        let (c, slope) = candidate(pqv[at + 2 * d], kind);
        let (d_forget, d_input) = (da[n], db[n] * c);
        let (df, di) = if normalize {
            let (f, i) = (sigmoid(p), sigmoid(q));
            let cross = (d_forget - d_input) / (f + i);
            (cross * (i / (f + i)), -cross * (f / (f + i)))
        } else {
            (d_forget, d_input)
        };
        dpqv[at] = df * sigmoid(p) * sigmoid(-p);
        dpqv[at + d] = di * sigmoid(q) * sigmoid(-q);
        dpqv[at + 2 * d] = db[n] * gates(p, q, normalize).1 * slope;
    }
    (dpqv, dh0)
}
