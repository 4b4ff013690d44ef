//! One row of minGRU on the CPU.

use crate::math::{Float, candidate, sigmoids};

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
