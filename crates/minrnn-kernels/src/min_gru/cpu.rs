//! minGRU on the CPU: one row, and the passes over memory of the caller.

use crate::Candidate;
use crate::dispatch::Level;
use crate::math::{Float, candidate, sigmoids};
use crate::recurrence::{self, Saved, Size, Source};

/// minGRU with the candidate `g(v)` if `G`, else `v`.
#[derive(Clone, Copy)]
pub(super) struct Cell<const G: bool>;

impl<T: Float, const G: bool> crate::recurrence::Cell<T> for Cell<G> {
    const PARTS: usize = 2;

    #[inline(always)]
    fn forward(self, [k, v, _]: [&[T]; 3], prev: &[T], h: &mut [T]) {
        let n = h.len();
        let (k, v, prev) = (&k[..n], &v[..n], &prev[..n]);
        for i in 0..n {
            let (z, a) = sigmoids(k[i]);
            let (c, _) = candidate::<T, G>(v[i]);
            h[i] = a * prev[i] + z * c;
        }
    }

    #[inline(always)]
    fn backward(
        self,
        [k, v, _]: [&[T]; 3],
        prev: &[T],
        dh: &[T],
        carry: &mut [T],
        [dk, dv, _]: [&mut [T]; 3],
    ) {
        let n = carry.len();
        let (k, v, prev, dh) = (&k[..n], &v[..n], &prev[..n], &dh[..n]);
        let (dk, dv) = (&mut dk[..n], &mut dv[..n]);
        for i in 0..n {
            let d = dh[i] + carry[i];
            let (z, a) = sigmoids(k[i]);
            let (c, slope) = candidate::<T, G>(v[i]);
            dk[i] = d * (c - prev[i]) * (z * a);
            dv[i] = d * z * slope;
            carry[i] = a * d;
        }
    }
}

/// h `[B,T,D]` of `kv` `[B,T,2D]` and `h0` `[B,D]`.
pub fn forward(candidate: Candidate, kv: &[f32], h0: &[f32], h: &mut [f32], size: Size) {
    let (level, x) = (Level::best(), Source::packed(kv, size, 2));
    match candidate {
        Candidate::G => recurrence::forward_to(level, Cell::<true>, x, h0, size, h),
        Candidate::Linear => recurrence::forward_to(level, Cell::<false>, x, h0, size, h),
    }
}

/// The gradient of `kv` takes its place; that of `h0` is written to `dh0`. Read are h0, h and the gradient of h.
pub fn backward(
    candidate: Candidate,
    kv: &mut [f32],
    [h0, h, dh]: [&[f32]; 3],
    dh0: &mut [f32],
    size: Size,
) {
    let (level, saved) = (Level::best(), Saved { h0, h, dh });
    match candidate {
        Candidate::G => {
            recurrence::backward_in_place(level, Cell::<true>, kv, saved, size, dh0);
        }
        Candidate::Linear => {
            recurrence::backward_in_place(level, Cell::<false>, kv, saved, size, dh0);
        }
    }
}
