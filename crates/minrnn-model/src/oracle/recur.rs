//! Recurrences, one function a law.

use super::tensor::{Shape, Tensor};
use super::window::resets;
use super::{Run, UNIT};

/// `h[t] = a[t] * h[t-1] + b[t]`; at a reset the state is its initial value again. The bound follows
/// `E[t] = a E[t-1] + |h[t-1]| da + db + u (2 |a h| + |b|)`.
pub(super) fn linear(
    shape: Shape,
    a: &Tensor,
    b: &Tensor,
    first: &[f64],
    begin: &[f64],
    run: &Run,
) -> Tensor {
    let d = shape.width;
    let mut data = vec![0.0; shape.len()];
    let mut bound = vec![0.0; if run.bounds { shape.len() } else { 0 }];
    for row in 0..shape.batch {
        let mut h = first[row * d..(row + 1) * d].to_vec();
        let mut e = vec![0.0; d];
        for t in 0..shape.time {
            if resets(run, row, t) {
                h.copy_from_slice(&begin[row * d..(row + 1) * d]);
                e.fill(0.0);
            }
            let at = (row * shape.time + t) * d;
            for c in 0..d {
                let (i, product) = (at + c, a.data[at + c] * h[c]);
                if run.bounds {
                    e[c] = (a.data[i].abs() + a.err(i)) * e[c]
                        + h[c].abs() * a.err(i)
                        + b.err(i)
                        + UNIT * (2.0 * product.abs() + b.data[i].abs())
                        + f64::from(f32::MIN_POSITIVE);
                    bound[i] = e[c];
                }
                h[c] = product + b.data[i];
                data[i] = h[c];
            }
        }
    }
    Tensor::new(data, bound, d)
}
