//! The largest so far as it is defined, in float64, one value after the other.

/// h `[B,T,D]` from b `[B,T,D]` and h0 `[B,D]`; `dims` is `[B,T,D]`. What is no number stays none.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn max_scan(b: &[f64], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
    let [batch, t, d] = dims;
    let mut h = vec![0.0; batch * t * d];
    for sequence in 0..batch {
        for channel in 0..d {
            let mut state = h0[sequence * d + channel];
            for step in 0..t {
                let i = (sequence * t + step) * d + channel;
                if b[i] >= state || b[i].is_nan() {
                    state = b[i];
                }
                h[i] = state;
            }
        }
    }
    h
}

/// The gradients of b `[B,T,D]` and h0 `[B,D]`, given h and the gradient `dh` of h: where both are equal it is b's.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn max_scan_grad(
    b: &[f64],
    h0: &[f64],
    h: &[f64],
    dh: &[f64],
    dims: [usize; 3],
) -> (Vec<f64>, Vec<f64>) {
    let [batch, t, d] = dims;
    let (mut db, mut dh0) = (vec![0.0; batch * t * d], vec![0.0; batch * d]);
    for sequence in 0..batch {
        for channel in 0..d {
            let start = sequence * d + channel;
            let mut later = 0.0;
            for step in (0..t).rev() {
                let i = (sequence * t + step) * d + channel;
                let before = if step == 0 { h0[start] } else { h[i - d] };
                let grad = dh[i] + later;
                (db[i], later) = if b[i] >= before {
                    (grad, 0.0)
                } else {
                    (0.0, grad)
                };
            }
            dh0[start] = later;
        }
    }
    (db, dh0)
}
