//! The scan on the CPU.

use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::Shared;
use crate::recurrence::{self, Cell, Saved, Sink, Size, Source};

/// The cell whose two parts are `a` and `b` themselves.
#[derive(Clone, Copy)]
struct Linear;

impl<T: Float> Cell<T> for Linear {
    const PARTS: usize = 2;

    #[inline(always)]
    fn forward(self, [a, b, _]: [&[T]; 3], prev: &[T], h: &mut [T]) {
        let n = h.len();
        let (a, b, prev) = (&a[..n], &b[..n], &prev[..n]);
        for i in 0..n {
            h[i] = a[i] * prev[i] + b[i];
        }
    }

    #[inline(always)]
    fn backward(
        self,
        [a, _, _]: [&[T]; 3],
        prev: &[T],
        dh: &[T],
        carry: &mut [T],
        [da, db, _]: [&mut [T]; 3],
    ) {
        let n = carry.len();
        let (a, prev, dh) = (&a[..n], &prev[..n], &dh[..n]);
        let (da, db) = (&mut da[..n], &mut db[..n]);
        for i in 0..n {
            let d = dh[i] + carry[i];
            da[i] = d * prev[i];
            db[i] = d;
            carry[i] = a[i] * d;
        }
    }
}

fn source<'a, T>(a: &'a [T], b: &'a [T], size: Size) -> Source<'a, T> {
    Source {
        parts: [a, b, &[]],
        stride: size.d,
    }
}

pub(super) fn forward<T: Float>(level: Level, a: &[T], b: &[T], h0: &[T], size: Size) -> Vec<T> {
    recurrence::forward(level, Linear, source(a, b, size), h0, size)
}

/// The gradients of `a`, `b` and `h0`.
pub(super) fn backward<T: Float>(
    level: Level,
    a: &[T],
    b: &[T],
    saved: Saved<'_, T>,
    size: Size,
) -> [Vec<T>; 3] {
    let mut da = vec![T::ZERO; size.elements()];
    let mut db = vec![T::ZERO; size.elements()];
    let dh0 = {
        let (to_a, to_b) = (Shared::new(&mut da), Shared::new(&mut db));
        let sink = Sink {
            parts: [Some((&to_a, 0)), Some((&to_b, 0)), None],
            stride: size.d,
        };
        recurrence::backward(level, Linear, source(a, b, size), saved, size, &sink)
    };
    [da, db, dh0]
}
