//! The definition, in float64.

use super::{COEFFICIENTS, EPS, ITERATIONS};

/// What [`super`] says of `x`, `[rows, cols]`.
///
/// # Panics
/// If `x` is not as long as the sizes say.
pub fn orthogonal(x: &[f64], [rows, cols]: [usize; 2]) -> Vec<f64> {
    assert_eq!(x.len(), rows * cols, "a matrix of {rows} x {cols}");
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt().max(EPS);
    let mut x: Vec<f64> = x.iter().map(|v| v / norm).collect();
    let wide = rows <= cols;
    let n = rows.min(cols);
    let deep = rows.max(cols);
    // Element k of the vector whose products make the Gram matrix.
    let at = |x: &[f64], i: usize, k: usize| x[if wide { i * cols + k } else { k * cols + i }];
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let gram = made(n, |i, j| {
            (0..deep).map(|k| at(&x, i, k) * at(&x, j, k)).sum()
        });
        let square: Vec<f64> = made(n, |i, j| {
            (0..n).map(|k| gram[i * n + k] * gram[k * n + j]).sum()
        });
        let whole = |i: usize, j: usize| {
            let own = if i == j { a } else { 0.0 };
            own + b * gram[i * n + j] + c * square[i * n + j]
        };
        let mut next = vec![0.0; x.len()];
        for r in 0..rows {
            for col in 0..cols {
                next[r * cols + col] = match wide {
                    true => (0..n).map(|k| whole(r, k) * x[k * cols + col]).sum(),
                    false => (0..n).map(|k| x[r * cols + k] * whole(k, col)).sum(),
                };
            }
        }
        x = next;
    }
    x
}

fn made(n: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..n * n).map(|at| f(at / n, at % n)).collect()
}
