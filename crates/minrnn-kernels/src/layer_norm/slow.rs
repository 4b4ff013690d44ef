//! Layer norm as it is defined, in float64.

/// Mean and root of (variance + eps) of a row.
fn moments(x: &[f64], eps: f64) -> (f64, f64) {
    let m = x.len() as f64;
    let mean = x.iter().sum::<f64>() / m;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / m;
    (mean, (variance + eps).sqrt())
}

/// `(x - mean) / sqrt(var + eps) * w + b` for each row of x `[N,M]`; w, b `[M]`.
pub fn layer_norm(x: &[f64], w: &[f64], b: &[f64], eps: f64) -> Vec<f64> {
    let rows = x.chunks_exact(w.len());
    rows.flat_map(|x| {
        let (mean, root) = moments(x, eps);
        (0..w.len()).map(move |i| (x[i] - mean) / root * w[i] + b[i])
    })
    .collect()
}

/// The gradients of x, w and b, given the gradient `dy` of the result.
pub fn layer_norm_grad(
    x: &[f64],
    w: &[f64],
    eps: f64,
    dy: &[f64],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let m = w.len();
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; m], vec![0.0; m]);
    for row in (0..x.len()).step_by(m) {
        let x = &x[row..row + m];
        let dy = &dy[row..row + m];
        let (mean, root) = moments(x, eps);
        let d_centred = |i: usize| dy[i] * w[i] / root;
        let d_root: f64 =
            -(0..m).map(|i| dy[i] * w[i] * (x[i] - mean)).sum::<f64>() / (root * root);
        let d_mean: f64 = -(0..m).map(d_centred).sum::<f64>();
        for j in 0..m {
            // d root / d x_j = (x_j - mean) / (m root), d mean / d x_j = 1 / m.
            let through_root = d_root * (x[j] - mean) / (m as f64 * root);
            dx[row + j] = d_centred(j) + through_root + d_mean / m as f64;
            dw[j] += dy[j] * (x[j] - mean) / root;
            db[j] += dy[j];
        }
    }
    (dx, dw, db)
}
