//! Layer norm on the CPU: mean first, then the variance around it; the sums in a fixed order.

use crate::dispatch::Level;
use crate::math::{Float, sum, sum2, sum3};
use crate::parallel::{each_row, sum_rows};

/// The mean of a row and `1 / sqrt(variance + eps)`.
#[inline(always)]
fn moments<T: Float>(x: &[T], eps: T) -> (T, T) {
    let m = T::of(x.len() as f64);
    let mean = sum(x, |x| x) / m;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / m;
    (mean, T::ONE / (variance + eps).sqrt())
}

pub(super) fn forward<T: Float>(level: Level, x: &[T], w: &[T], b: &[T], eps: T) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    let width = w.len();
    each_row(
        level,
        &mut y,
        width,
        #[inline(always)]
        |row, y| {
            let x = &x[row * width..][..width];
            let (mean, scale) = moments(x, eps);
            for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(w).zip(b) {
                *y = (x - mean) * scale * w + b;
            }
        },
    );
    y
}

/// The gradients of `x`, `w` and the bias.
pub(super) fn backward<T: Float>(
    level: Level,
    x: &[T],
    w: &[T],
    dy: &[T],
    eps: T,
) -> (Vec<T>, Vec<T>, Vec<T>) {
    let width = w.len();
    let m = T::of(width as f64);
    let mut dx = vec![T::ZERO; x.len()];
    each_row(
        level,
        &mut dx,
        width,
        #[inline(always)]
        |row, dx| {
            let x = &x[row * width..][..width];
            let dy = &dy[row * width..][..width];
            let (mean, scale) = moments(x, eps);
            let level_part = sum2(w, dy, |w, dy| w * dy) / m;
            let along = sum3(x, w, dy, |x, w, dy| (x - mean) * scale * (w * dy)) / m;
            for (((dx, &x), &w), &dy) in dx.iter_mut().zip(x).zip(w).zip(dy) {
                *dx = scale * (w * dy - level_part - (x - mean) * scale * along);
            }
        },
    );
    let mut both = sum_rows(
        level,
        x.len() / width,
        2 * width,
        #[inline(always)]
        |rows, both| {
            let (dw, db) = both.split_at_mut(width);
            for row in rows {
                let x = &x[row * width..][..width];
                let dy = &dy[row * width..][..width];
                let (mean, scale) = moments(x, eps);
                for (((dw, db), &x), &dy) in dw.iter_mut().zip(&mut *db).zip(x).zip(dy) {
                    *dw += (x - mean) * scale * dy;
                    *db += dy;
                }
            }
        },
    );
    let db = both.split_off(width);
    (dx, both, db)
}
