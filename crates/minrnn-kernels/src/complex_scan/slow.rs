//! The complex recurrence as it is defined, in float64, one value after the other.

/// h `[B,T,D]` from a, b `[B,T,D]` and h0 `[B,D]`, all `[re | im]` in the channels; `dims` is `[B,T,D]`, D even.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn complex_scan(a: &[f64], b: &[f64], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
    let [batch, t, d] = dims;
    let n = d / 2;
    let mut h = vec![0.0; batch * t * d];
    for sequence in 0..batch {
        for channel in 0..n {
            let (mut re, mut im) = (h0[sequence * d + channel], h0[sequence * d + n + channel]);
            for step in 0..t {
                let i = (sequence * t + step) * d + channel;
                (re, im) = (
                    re * a[i] - im * a[i + n] + b[i],
                    re * a[i + n] + im * a[i] + b[i + n],
                );
                (h[i], h[i + n]) = (re, im);
            }
        }
    }
    h
}

/// The gradients of a, b `[B,T,D]` and h0 `[B,D]`, given h and the gradient `dh` of h.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn complex_scan_grad(
    a: &[f64],
    h0: &[f64],
    h: &[f64],
    dh: &[f64],
    dims: [usize; 3],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let [batch, t, d] = dims;
    let n = d / 2;
    let (mut da, mut db) = (vec![0.0; batch * t * d], vec![0.0; batch * t * d]);
    let mut dh0 = vec![0.0; batch * d];
    for sequence in 0..batch {
        for channel in 0..n {
            let start = sequence * d + channel;
            let (mut later_re, mut later_im) = (0.0, 0.0);
            for step in (0..t).rev() {
                let i = (sequence * t + step) * d + channel;
                let (re, im) = (dh[i] + later_re, dh[i + n] + later_im);
                let (hr, hi) = match step {
                    0 => (h0[start], h0[start + n]),
                    _ => (h[i - d], h[i - d + n]),
                };
                (da[i], da[i + n]) = (re * hr + im * hi, im * hr - re * hi);
                (db[i], db[i + n]) = (re, im);
                later_re = re * a[i] + im * a[i + n];
                later_im = im * a[i] - re * a[i + n];
            }
            (dh0[start], dh0[start + n]) = (later_re, later_im);
        }
    }
    (da, db, dh0)
}
