//! The complex scan on the CPU: row by row of the channels, sequences in parallel.

use rayon::prelude::*;

use crate::math::Float;
use crate::recurrence::{Saved, Size};

/// Real and imaginary parts of a row.
fn parts<T>(row: &[T]) -> (&[T], &[T]) {
    row.split_at(row.len() / 2)
}

fn step<T: Float>(prev: &[T], a: &[T], b: &[T], h: &mut [T]) {
    let n = h.len() / 2;
    let ((hr, hi), (ar, ai), (br, bi)) = (parts(prev), parts(a), parts(b));
    let (re, im) = h.split_at_mut(n);
    for c in 0..n {
        re[c] = hr[c] * ar[c] - hi[c] * ai[c] + br[c];
        im[c] = hr[c] * ai[c] + hi[c] * ar[c] + bi[c];
    }
}

/// `a`, `b`: `[B,T,D]`, `h0`: `[B,D]`.
pub(super) fn forward<T: Float>(a: &[T], b: &[T], h0: &[T], size: Size) -> Vec<T> {
    let (block, d) = (size.t * size.d, size.d);
    let mut h = vec![T::ZERO; size.elements()];
    h.par_chunks_mut(block).enumerate().for_each(|(row, h)| {
        let (a, b) = (&a[row * block..][..block], &b[row * block..][..block]);
        let mut prev = &h0[row * d..][..d];
        for ((h, a), b) in h.chunks_mut(d).zip(a.chunks(d)).zip(b.chunks(d)) {
            step(prev, a, b, h);
            prev = h;
        }
    });
    h
}

/// The gradients of `a`, `b` and `h0`.
pub(super) fn backward<T: Float>(a: &[T], saved: &Saved<'_, T>, size: Size) -> [Vec<T>; 3] {
    let (block, d) = (size.t * size.d, size.d);
    let mut da = vec![T::ZERO; size.elements()];
    let mut db = vec![T::ZERO; size.elements()];
    let mut dh0 = vec![T::ZERO; size.b * d];
    let rows = da
        .par_chunks_mut(block)
        .zip(db.par_chunks_mut(block))
        .zip(dh0.par_chunks_mut(d));
    rows.enumerate().for_each(|(row, ((da, db), carry))| {
        let at = |x: &'_ [T], t: usize| -> Vec<T> { x[row * block + t * d..][..d].to_vec() };
        for t in (0..size.t).rev() {
            let span = t * d..(t + 1) * d;
            let prev = match t {
                0 => saved.h0[row * d..][..d].to_vec(),
                _ => at(saved.h, t - 1),
            };
            back(
                [&at(a, t), &prev, &at(saved.dh, t)],
                carry,
                &mut da[span.clone()],
                &mut db[span],
            );
        }
    });
    [da, db, dh0]
}

/// One step back: `carry` is the gradient of h from the step after, then of the step before.
fn back<T: Float>([a, prev, dh]: [&[T]; 3], carry: &mut [T], da: &mut [T], db: &mut [T]) {
    let n = carry.len() / 2;
    for c in 0..n {
        let (re, im) = (dh[c] + carry[c], dh[n + c] + carry[n + c]);
        let (hr, hi, ar, ai) = (prev[c], prev[n + c], a[c], a[n + c]);
        (da[c], da[n + c]) = (re * hr + im * hi, im * hr - re * hi);
        (db[c], db[n + c]) = (re, im);
        (carry[c], carry[n + c]) = (re * ar + im * ai, im * ar - re * ai);
    }
}
