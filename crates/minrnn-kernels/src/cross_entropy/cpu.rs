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

/// The loss of one row. The target is kept out of the sum, so that the loss of a certain and right
/// row, which is nearly 0, keeps its digits; otherwise both terms are positive.
#[inline(always)]
fn row_loss<T: Float>(row: &[T], target: usize) -> T {
    let top = max(row);
    let exp = |x: T| (x - top).exp_neg();
    let others = sum(&row[..target], exp) + sum(&row[target + 1..], exp);
    if row[target] == top {
        others.ln_1p()
    } else {
        (others + exp(row[target])).ln() + (top - row[target])
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
                    *loss = row_loss(input.row(n), input.targets[n] as usize);
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
                let target = input.targets[n] as usize;
                let others = sum(&to[..target], |e| e) + sum(&to[target + 1..], |e| e);
                let share = T::ONE / (others + to[target]);
                let weight = T::of(input.weights[n].wide() * scale);
                for to in to.iter_mut() {
                    *to = *to * share * weight;
                }
                // 1 - softmax is the share of the others: no digits lost to the subtraction.
                to[target] = -(others * share * weight);
            }
        },
    );
    grad
}
