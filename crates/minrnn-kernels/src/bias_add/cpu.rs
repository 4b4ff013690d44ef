//! Bias on the CPU.

use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::{each_row, sum_rows};

pub(super) fn forward<T: Float>(level: Level, x: &[T], bias: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    let width = bias.len();
    each_row(
        level,
        &mut y,
        width,
        #[inline(always)]
        |row, y| {
            let x = &x[row * width..][..width];
            for ((y, &x), &b) in y.iter_mut().zip(x).zip(bias) {
                *y = x + b;
            }
        },
    );
    y
}

/// The sum over all rows, `[width]`.
pub(super) fn column_sums<T: Float>(level: Level, x: &[T], width: usize) -> Vec<T> {
    sum_rows(
        level,
        x.len() / width,
        width,
        #[inline(always)]
        |rows, sum| {
            for row in rows {
                for (sum, &x) in sum.iter_mut().zip(&x[row * width..][..width]) {
                    *sum += x;
                }
            }
        },
    )
}
