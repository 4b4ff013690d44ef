//! RMS norm on the CPU: one row after the other, the sums in a fixed order.

use crate::dispatch::Level;
use crate::math::{Float, sum, sum3};
use crate::parallel::{each_row, sum_rows};

/// `1 / sqrt(mean(x^2) + eps)`.
#[inline(always)]
fn scale<T: Float>(x: &[T], eps: T) -> T {
    let mean = sum(x, |x| x * x) / T::of(x.len() as f64);
    T::ONE / (mean + eps).sqrt()
}

pub(super) fn forward<T: Float>(level: Level, x: &[T], w: &[T], eps: T) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    let width = w.len();
    each_row(
        level,
        &mut y,
        width,
        #[inline(always)]
        |row, y| {
            let x = &x[row * width..][..width];
            let scale = scale(x, eps);
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                *y = x * scale * w;
            }
        },
    );
    y
}

/// The gradients of `x` and `w`.
pub(super) fn backward<T: Float>(
    level: Level,
    x: &[T],
    w: &[T],
    dy: &[T],
    eps: T,
) -> (Vec<T>, Vec<T>) {
    let width = w.len();
    let mut dx = vec![T::ZERO; x.len()];
    each_row(
        level,
        &mut dx,
        width,
        #[inline(always)]
        |row, dx| {
            let x = &x[row * width..][..width];
            let dy = &dy[row * width..][..width];
            let scale = scale(x, eps);
            let along = sum3(x, w, dy, |x, w, dy| x * w * dy) / T::of(width as f64);
            let back = along * scale * scale;
            for (((dx, &x), &w), &dy) in dx.iter_mut().zip(x).zip(w).zip(dy) {
                *dx = scale * (w * dy - x * back);
            }
        },
    );
    let dw = sum_rows(
        level,
        x.len() / width,
        width,
        #[inline(always)]
        |rows, dw| {
            for row in rows {
                let x = &x[row * width..][..width];
                let dy = &dy[row * width..][..width];
                let scale = scale(x, eps);
                for ((dw, &x), &dy) in dw.iter_mut().zip(x).zip(dy) {
                    *dw += x * scale * dy;
                }
            }
        },
    );
    (dx, dw)
}
