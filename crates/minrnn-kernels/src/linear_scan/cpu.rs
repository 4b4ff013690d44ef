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

pub(super) fn scan<T: Float>(level: Level, a: &[T], b: &[T], h0: &[T], size: Size) -> Vec<T> {
    recurrence::forward(level, Linear, source(a, b, size), h0, size)
}

/// The gradients of `a`, `b` and `h0`.
pub(super) fn gradients<T: Float>(
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

/// h `[B,T,D]` of a, b `[B,T,D]` and h0 `[B,D]`, in memory of the caller.
pub fn forward(a: &[f32], b: &[f32], h0: &[f32], h: &mut [f32], size: Size) {
    recurrence::forward_to(Level::best(), Linear, source(a, b, size), h0, size, h);
}

/// The gradients of a, b and h0, in memory of the caller. Read are a, h0, h and the gradient of h.
pub fn backward([a, h0, h, dh]: [&[f32]; 4], [da, db, dh0]: [&mut [f32]; 3], size: Size) {
    let (to_a, to_b) = (Shared::new(da), Shared::new(db));
    let sink = Sink {
        parts: [Some((&to_a, 0)), Some((&to_b, 0)), None],
        stride: size.d,
    };
    // b is not read.
    let x = source(a, a, size);
    recurrence::backward_to(
        Level::best(),
        Linear,
        x,
        Saved { h0, h, dh },
        size,
        &sink,
        dh0,
    );
}
