//! minLSTM on the CPU: one row, and the passes over memory of the caller.

use super::with_cell;
use crate::Candidate;
use crate::dispatch::Level;
use crate::math::{Float, candidate, sigmoids};
use crate::recurrence::{self, Saved, Size, Source};

/// minLSTM with the candidate `g(v)` if `G`, else `v`; with gates that sum to 1 if `N`.
#[derive(Clone, Copy)]
pub(super) struct Cell<const G: bool, const N: bool>;

/// The factors of the last state and of the candidate.
///
/// Normalised: `f/(f+i)` and `i/(f+i)`, both sides multiplied by `e^m (1 + e^-p)(1 + e^-q)` with
/// `m = min(0, p, q)`. One of the three exponents is 0 and none is positive, so the
/// denominator lies in [1, 4] for every p and q.
#[inline(always)]
fn gates<T: Float, const N: bool>(p: T, q: T) -> (T, T) {
    if !N {
        return (sigmoids(p).0, sigmoids(q).0);
    }
    let m = if p < q { p } else { q };
    let m = if m > T::ZERO { T::ZERO } else { m };
    let e = m.exp_neg();
    let forget = e + (m - q).exp_neg();
    let input = e + (m - p).exp_neg();
    let total = T::ONE / (forget + input);
    (forget * total, input * total)
}

impl<T: Float, const G: bool, const N: bool> crate::recurrence::Cell<T> for Cell<G, N> {
    const PARTS: usize = 3;

    #[inline(always)]
    fn forward(self, [p, q, v]: [&[T]; 3], prev: &[T], h: &mut [T]) {
        let n = h.len();
        let (p, q, v, prev) = (&p[..n], &q[..n], &v[..n], &prev[..n]);
        for i in 0..n {
            let (forget, input) = gates::<T, N>(p[i], q[i]);
            let (c, _) = candidate::<T, G>(v[i]);
            h[i] = forget * prev[i] + input * c;
        }
    }

    #[inline(always)]
    fn backward(
        self,
        [p, q, v]: [&[T]; 3],
        prev: &[T],
        dh: &[T],
        carry: &mut [T],
        [dp, dq, dv]: [&mut [T]; 3],
    ) {
        let n = carry.len();
        let (p, q, v, prev, dh) = (&p[..n], &q[..n], &v[..n], &prev[..n], &dh[..n]);
        let (dp, dq, dv) = (&mut dp[..n], &mut dq[..n], &mut dv[..n]);
        for i in 0..n {
            let d = dh[i] + carry[i];
            let (forget, input) = gates::<T, N>(p[i], q[i]);
            let (c, slope) = candidate::<T, G>(v[i]);
            let (open_p, open_q) = (sigmoids(p[i]).1, sigmoids(q[i]).1);
            if N {
                let both = d * (prev[i] - c) * (forget * input);
                dp[i] = both * open_p;
                dq[i] = -(both * open_q);
            } else {
                dp[i] = d * prev[i] * (forget * open_p);
                dq[i] = d * c * (input * open_q);
            }
            dv[i] = d * input * slope;
            carry[i] = forget * d;
        }
    }
}

/// h `[B,T,D]` of `pqv` `[B,T,3D]` and `h0` `[B,D]`; the candidate, and whether gates are normalised.
pub fn forward(
    (candidate, normalize): (Candidate, bool),
    pqv: &[f32],
    h0: &[f32],
    h: &mut [f32],
    size: Size,
) {
    let (level, x) = (Level::best(), Source::packed(pqv, size, 3));
    with_cell!(candidate, normalize, cell => recurrence::forward_to(level, cell, x, h0, size, h));
}

/// The gradient of `pqv` takes its place; that of `h0` is written to `dh0`. Read are h0, h and the gradient of h.
pub fn backward(
    (candidate, normalize): (Candidate, bool),
    pqv: &mut [f32],
    [h0, h, dh]: [&[f32]; 3],
    dh0: &mut [f32],
    size: Size,
) {
    let (level, saved) = (Level::best(), Saved { h0, h, dh });
    with_cell!(candidate, normalize, cell => {
        recurrence::backward_in_place(level, cell, pqv, saved, size, dh0);
    });
}
