//! Cross entropy as it is defined, in float64.

/// The probabilities of a row and the logarithm of their common divisor.
fn softmax(row: &[f64]) -> (Vec<f64>, f64) {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = row.iter().map(|x| libm::exp(x - top)).sum();
    let shares = row.iter().map(|x| libm::exp(x - top) / total).collect();
    (shares, top + libm::log(total))
}

/// The weighted mean loss of logits `[N,V]`, targets `[N]`, weights `[N]`.
pub fn cross_entropy(logits: &[f64], targets: &[u32], weights: &[f64]) -> f64 {
    let v = logits.len() / targets.len();
    let loss = |n: usize| softmax(&logits[n * v..][..v]).1 - logits[n * v + targets[n] as usize];
    let rows = (0..targets.len()).filter(|&n| weights[n] > 0.0);
    rows.map(|n| weights[n] * loss(n)).sum::<f64>() / weights.iter().sum::<f64>()
}

/// The gradients of logits and weights, the gradient of the loss being `grad`.
pub fn cross_entropy_grad(
    logits: &[f64],
    targets: &[u32],
    weights: &[f64],
    grad: f64,
) -> (Vec<f64>, Vec<f64>) {
    let v = logits.len() / targets.len();
    let total = weights.iter().sum::<f64>();
    let mean = cross_entropy(logits, targets, weights);
    let (mut dlogits, mut dweights) = (vec![0.0; logits.len()], vec![0.0; targets.len()]);
    for n in 0..targets.len() {
        if weights[n] > 0.0 {
            let (shares, log_total) = softmax(&logits[n * v..][..v]);
            let target = targets[n] as usize;
            for c in 0..v {
                let hit = if c == target { 1.0 } else { 0.0 };
                dlogits[n * v + c] = grad * weights[n] / total * (shares[c] - hit);
            }
            dweights[n] = grad * (log_total - logits[n * v + target] - mean) / total;
        }
    }
    (dlogits, dweights)
}
