//! What follows from parameters alone, in float64: a state's factors, and the gradients that lead back from them.

use super::{Grads, Inputs};
use crate::diagonal_scan::Size;
use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::{Shared, each_row, each_task};

/// Re and im.
type Complex = [f64; 2];

fn times([xr, xi]: Complex, [yr, yi]: Complex) -> Complex {
    [xr * yr - xi * yi, xr * yi + xi * yr]
}

/// `x` times the conjugate of `y`.
fn times_conjugate(x: Complex, [yr, yi]: Complex) -> Complex {
    times(x, [yr, -yi])
}

fn over(x: Complex, y: Complex) -> Complex {
    let square = y[0] * y[0] + y[1] * y[1];
    times_conjugate(x, y).map(|part| part / square)
}

/// A state's parameters, discretised.
struct Held {
    step: f64,
    a: Complex,
    /// `exp(s A)`.
    decay: Complex,
    /// `(exp(s A) - 1) / A`.
    input: Complex,
}

fn held<T: Float>(i: &Inputs<'_, T>, channel: usize, k: usize) -> Held {
    let step = libm::exp(i.log_step[channel].wide());
    let a = [-libm::exp(i.log_rates[k].wide()), i.frequencies[k].wide()];
    let (x, y) = (step * a[0], step * a[1]);
    let (grown, (sin, cos), half) = (libm::expm1(x), libm::sincos(y), libm::sin(0.5 * y));
    let decay = [libm::exp(x) * cos, libm::exp(x) * sin];
    // exp(z) - 1, exact where z is small.
    let less = [grown * cos - 2.0 * half * half, decay[1]];
    Held {
        step,
        a,
        decay,
        input: over(less, a),
    }
}

/// Six parts of N / 2 for each channel: of the decays, of what x is multiplied by, and of what h is read by (2 re C, -2 im C).
pub(super) fn coefficients<T: Float>(level: Level, i: &Inputs<'_, T>, size: Size) -> Vec<T> {
    let n = size.pairs;
    let mut all = vec![T::ZERO; 6 * size.wide()];
    each_row(level, &mut all, 6 * n, |channel, to| {
        for j in 0..n {
            let k = channel * n + j;
            let Held { decay, input, .. } = held(i, channel, k);
            let c = [k, size.wide() + k].map(|at| i.readout[at].wide());
            let values = [decay, input, [2.0 * c[0], -2.0 * c[1]]];
            for (part, value) in values.as_flattened().iter().enumerate() {
                to[part * n + j] = T::of(*value);
            }
        }
    });
    all
}

/// The gradients of the parameters from those of the coefficients of each sequence, `parts [B, D, 6 N/2]`, and of the skip, `skips [B, D]`:
/// sums over sequences, in their order.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
pub(super) fn back<T: Float>(
    i: &Inputs<'_, T>,
    parts: &[T],
    skips: &[T],
    size: Size,
    to: Grads<'_, T>,
) {
    let (n, wide) = (size.pairs, size.wide());
    let [log_step, log_rates, frequencies, readout, skip] = [
        to.log_step,
        to.log_rates,
        to.frequencies,
        to.readout,
        to.skip,
    ]
    .map(Shared::new);
    let put = |out: &Shared<'_, T>, at: usize, value: f64| {
        // SAFETY: an element of this channel, which only its task writes.
        let to = unsafe { out.part(at, 1) };
        to[0] = T::of(value);
    };
    each_task(size.channels, parts.len(), |channel| {
        let sum = |of: &[T], stride: usize, at: usize| -> f64 {
            let values = (0..size.batch).map(|b| of[b * stride + at].wide());
            values.sum()
        };
        let mut step_sum = 0.0;
        for j in 0..n {
            let k = channel * n + j;
            let part = |p: usize| sum(parts, 6 * wide, (channel * 6 + p) * n + j);
            let [of_decay, of_input, of_read] = [0, 2, 4].map(|p| [part(p), part(p + 1)]);
            let held = held(i, channel, k);
            // z = s A gives the decay e = exp(z), whose slope is e, and (e - 1) / A.
            let of_z = [
                times_conjugate(of_decay, held.decay),
                times_conjugate(of_input, over(held.decay, held.a)),
            ];
            let of_z = [of_z[0][0] + of_z[1][0], of_z[0][1] + of_z[1][1]];
            let direct = times_conjugate(of_input, over(held.input, held.a));
            let of_a = [0, 1].map(|p| held.step * of_z[p] - direct[p]);
            put(&log_rates, k, of_a[0] * held.a[0]);
            put(&frequencies, k, of_a[1]);
            put(&readout, k, 2.0 * of_read[0]);
            put(&readout, wide + k, -2.0 * of_read[1]);
            step_sum += times_conjugate(of_z, held.a)[0] * held.step;
        }
        put(&log_step, channel, step_sum);
        put(&skip, channel, sum(skips, size.channels, channel));
    });
}
