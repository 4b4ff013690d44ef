//! The linear recurrence as it is defined, in float64, one value after the other.
//!
//! The backward pass has a loop of its own: candle's recursive one overflows the stack on a chain
//! of some 8000 small tensors.

/// h `[B,T,D]` from a, b `[B,T,D]` and h0 `[B,D]`; `dims` is `[B,T,D]`.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn linear_scan(a: &[f64], b: &[f64], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
    let [batch, t, d] = dims;
    let mut h = vec![0.0; batch * t * d];
    for sequence in 0..batch {
        for channel in 0..d {
            let mut state = h0[sequence * d + channel];
            for step in 0..t {
                let i = (sequence * t + step) * d + channel;
                state = a[i] * state + b[i];
                h[i] = state;
            }
        }
    }
    h
}

/// The gradients of a, b `[B,T,D]` and h0 `[B,D]`, given h and the gradient `dh` of h.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn linear_scan_grad(
    a: &[f64],
    h0: &[f64],
    h: &[f64],
    dh: &[f64],
    dims: [usize; 3],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let [batch, t, d] = dims;
    let (mut da, mut db) = (vec![0.0; batch * t * d], vec![0.0; batch * t * d]);
    let mut dh0 = vec![0.0; batch * d];
    for sequence in 0..batch {
        for channel in 0..d {
            let start = sequence * d + channel;
            let mut later = 0.0;
            for step in (0..t).rev() {
                let i = (sequence * t + step) * d + channel;
                let grad = dh[i] + later;
                da[i] = grad * if step == 0 { h0[start] } else { h[i - d] };
                db[i] = grad;
                later = grad * a[i];
            }
            dh0[start] = later;
        }
    }
    (da, db, dh0)
}
