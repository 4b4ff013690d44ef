//! Cross entropy on the CPU.

use crate::dispatch::Level;
use crate::math::{Float, max, sum};
use crate::parallel::{CHUNK, each_chunk, each_row};

/// Logits `[N,width]`, targets `[N]`, weights `[N]`.
pub(super) struct Inputs<'a, T> {
    pub(super) logits: &'a [T],
    pub(super) targets: &'a [u32],
    pub(super) weights: &'a [T],
    pub(super) width: usize,
}

impl<'a, T> Inputs<'a, T> {
    #[inline(always)]
    fn row(&self, n: usize) -> &'a [T] {
        &self.logits[n * self.width..][..self.width]
    }
}

/// The loss of each row, `[N]`; 0 where the weight is 0.
pub(super) fn losses<T: Float>(level: Level, input: &Inputs<'_, T>) -> Vec<T> {
    let mut losses = vec![T::ZERO; input.weights.len()];
    each_chunk(
        level,
        &mut losses,
        CHUNK.div_ceil(input.width),
        input.logits.len(),
        #[inline(always)]
        |from, losses| {
            for (n, loss) in (from..).zip(losses) {
                if input.weights[n] > T::ZERO {
                    let row = input.row(n);
                    let top = max(row);
                    let total = sum(row, |x| (x - top).exp_neg());
                    *loss = total.ln() - (row[input.targets[n] as usize] - top);
                }
            }
        },
    );
    losses
}

/// `sum(loss * weight)`, in order and in float64.
pub(super) fn weighted_sum<T: Float>(losses: &[T], weights: &[T]) -> f64 {
    let rows = losses.iter().zip(weights);
    rows.map(|(l, w)| l.wide() * w.wide()).sum()
}

/// The gradient of the logits: `(softmax - one at the target) * weight * scale`.
pub(super) fn gradient<T: Float>(level: Level, input: &Inputs<'_, T>, scale: f64) -> Vec<T> {
    let mut grad = vec![T::ZERO; input.logits.len()];
    each_row(
        level,
        &mut grad,
        input.width,
        #[inline(always)]
        |n, to| {
            if input.weights[n] > T::ZERO {
                let row = input.row(n);
                let top = max(row);
                for (to, &x) in to.iter_mut().zip(row) {
                    *to = (x - top).exp_neg();
                }
                let share = T::ONE / sum(to, |e| e);
                let weight = T::of(input.weights[n].wide() * scale);
                for to in to.iter_mut() {
                    *to = *to * share * weight;
                }
                let target = input.targets[n] as usize;
                to[target] = to[target] - weight;
            }
        },
    );
    grad
}
