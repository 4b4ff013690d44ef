//! The scan on the CPU, over memory of the caller.

use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::Shared;
use crate::recurrence::{self, Cell, Saved, Sink, Size, Source};

/// The cell whose one part is `b`.
#[derive(Clone, Copy)]
struct Largest;

impl<T: Float> Cell<T> for Largest {
    const PARTS: usize = 1;

    #[inline(always)]
    #[allow(clippy::eq_op, reason = "what is no number differs from itself")]
    fn forward(self, [b, _, _]: [&[T]; 3], prev: &[T], h: &mut [T]) {
        let n = h.len();
        let (b, prev) = (&b[..n], &prev[..n]);
        for i in 0..n {
            let taken = b[i] >= prev[i] || b[i] != b[i];
            h[i] = if taken { b[i] } else { prev[i] };
        }
    }

    #[inline(always)]
    fn backward(
        self,
        [b, _, _]: [&[T]; 3],
        prev: &[T],
        dh: &[T],
        carry: &mut [T],
        [db, _, _]: [&mut [T]; 3],
    ) {
        let n = carry.len();
        let (b, prev, dh, db) = (&b[..n], &prev[..n], &dh[..n], &mut db[..n]);
        for i in 0..n {
            let (d, taken) = (dh[i] + carry[i], b[i] >= prev[i]);
            db[i] = if taken { d } else { T::ZERO };
            carry[i] = if taken { T::ZERO } else { d };
        }
    }
}

fn source<T>(b: &[T], size: Size) -> Source<'_, T> {
    Source {
        parts: [b, &[], &[]],
        stride: size.d,
    }
}

/// h `[B,T,D]` of b `[B,T,D]` and h0 `[B,D]`.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn forward(b: &[f32], h0: &[f32], h: &mut [f32], size: Size) {
    let x = source(b, size);
    recurrence::forward_to(Level::best(), Largest, x, h0, size, h);
}

/// The gradients of b and h0, of which h0 is `[B,D]`, from b, h0, h and the gradient of h.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn backward([b, h0, h, dh]: [&[f32]; 4], [db, dh0]: [&mut [f32]; 2], size: Size) {
    let to_b = Shared::new(db);
    let sink = Sink {
        parts: [Some((&to_b, 0)), None, None],
        stride: size.d,
    };
    let saved = Saved { h0, h, dh };
    let x = source(b, size);
    recurrence::backward_to(Level::best(), Largest, x, saved, size, &sink, dh0);
}
