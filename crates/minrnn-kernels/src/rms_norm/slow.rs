//! RMS norm as it is defined, in float64.

/// `x / sqrt(mean(x^2) + eps) * w` for each row of x `[N,M]`, w `[M]`.
pub fn rms_norm(x: &[f64], w: &[f64], eps: f64) -> Vec<f64> {
    let rows = x.chunks_exact(w.len());
    rows.flat_map(|x| {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
        x.iter()
            .zip(w)
            .map(move |(x, w)| x / (mean + eps).sqrt() * w)
    })
    .collect()
}

/// The gradients of x and w, given the gradient `dy` of the result.
pub fn rms_norm_grad(x: &[f64], w: &[f64], eps: f64, dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let m = w.len();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; m]);
    for row in (0..x.len()).step_by(m) {
        let x = &x[row..row + m];
        let dy = &dy[row..row + m];
        let root = (x.iter().map(|x| x * x).sum::<f64>() / m as f64 + eps).sqrt();
        // y_i = w_i x_i / root, and d root / d x_j = x_j / (m root).
        let d_root: f64 = -(0..m).map(|i| dy[i] * w[i] * x[i]).sum::<f64>() / (root * root);
        for j in 0..m {
            dx[row + j] = dy[j] * w[j] / root + d_root * x[j] / (m as f64 * root);
            dw[j] += dy[j] * x[j] / root;
        }
    }
    (dx, dw)
}
