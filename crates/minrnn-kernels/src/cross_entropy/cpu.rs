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
    losses_to(level, input, &mut losses);
    losses
}

fn losses_to<T: Float>(level: Level, input: &Inputs<'_, T>, losses: &mut [T]) {
    losses.fill(T::ZERO);
    each_chunk(
        level,
        losses,
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
}

/// `sum(loss * weight)`, in order and in float64.
pub(super) fn weighted_sum<T: Float>(losses: &[T], weights: &[T]) -> f64 {
    let rows = losses.iter().zip(weights);
    rows.map(|(l, w)| l.wide() * w.wide()).sum()
}

/// The gradient of the logits: `(softmax - one at the target) * weight * scale`.
pub(super) fn gradient<T: Float>(level: Level, input: &Inputs<'_, T>, scale: f64) -> Vec<T> {
    let mut grad = vec![T::ZERO; input.logits.len()];
    gradient_to(level, input, scale, &mut grad);
    grad
}

fn gradient_to<T: Float>(level: Level, input: &Inputs<'_, T>, scale: f64, grad: &mut [T]) {
    each_row(
        level,
        grad,
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
            } else {
                to.fill(T::ZERO);
            }
        },
    );
}

/// A loss with its gradient, in memory of the caller.
#[derive(Debug)]
pub struct Step<'a> {
    /// `[N,V]`.
    pub logits: &'a [f32],
    /// `[N]`, each below V.
    pub targets: &'a [u32],
    /// `[N]`.
    pub weights: &'a [f32],
    /// Gradient of the logits, `[N,V]`, or empty.
    pub dlogits: &'a mut [f32],
    /// V.
    pub width: usize,
}

/// The weighted mean loss. `work` is memory to work in.
pub fn step(step: Step<'_>, work: &mut Vec<f32>) -> f64 {
    let Step {
        logits,
        targets,
        weights,
        dlogits,
        width,
    } = step;
    let (level, input) = (
        Level::best(),
        Inputs {
            logits,
            targets,
            weights,
            width,
        },
    );
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    work.clear();
    work.resize(weights.len(), 0.0);
    losses_to(level, &input, work);
    if !dlogits.is_empty() {
        gradient_to(level, &input, 1.0 / total, dlogits);
    }
    weighted_sum(work, weights) / total
}

/// Rows with a weight whose target is the largest logit, the first of equal ones.
pub fn correct(logits: &[f32], targets: &[u32], weights: Option<&[f32]>) -> u32 {
    let width = logits.len() / targets.len();
    let right = |r: &usize| {
        let row = &logits[r * width..][..width];
        let best = (0..width).fold(0, |m, i| if row[i] > row[m] { i } else { m });
        weights.is_none_or(|w| w[*r] != 0.0) && best == targets[*r] as usize
    };
    (0..targets.len()).filter(right).count() as u32
}
