//! The mean of squared differences on the CPU.

use crate::dispatch::Level;
use crate::parallel::each_rows;

/// Elements of a block of rows.
const BLOCK: usize = 1 << 13;

/// A loss with its gradient.
#[derive(Debug)]
pub struct Step<'a> {
    /// `[N,W]`; absent: `dy` holds it.
    pub y: Option<&'a [f32]>,
    /// `[N,W]`; zeros without.
    pub targets: Option<&'a [f32]>,
    /// `[N]`; ones without.
    pub weights: Option<&'a [f32]>,
    /// Gradient of `y`, `[N,W]`, or empty.
    pub dy: &'a mut [f32],
    /// W.
    pub width: usize,
}

/// `sum(w (y - t)^2) / (sum(w) W)`, summed row by row in order and in float64.
pub fn step(step: Step<'_>) -> f64 {
    let Step {
        y,
        targets,
        weights,
        dy,
        width,
    } = step;
    let values = y.unwrap_or(dy);
    let rows = values.len() / width;
    let weight = |row: usize| weights.map_or(1.0, |w| f64::from(w[row]));
    let count: f64 = (0..rows).map(weight).sum();
    let total = count.max(f64::from(f32::MIN_POSITIVE)) * width as f64;
    let target = |i: usize| targets.map_or(0.0, |t| t[i]);
    let square = |i: usize| {
        let d = f64::from(values[i] - target(i));
        d * d
    };
    let row = |r: usize| (r * width..(r + 1) * width).map(square).sum::<f64>();
    let counted = (0..rows).filter(|r| weight(*r) != 0.0);
    let sum: f64 = counted.map(|r| weight(r) * row(r)).sum();
    if !dy.is_empty() {
        let elements = values.len();
        each_rows(
            Level::best(),
            rows,
            BLOCK.div_ceil(width),
            elements,
            [dy],
            #[inline(always)]
            |range, [dy]| {
                for (row, dy) in range.zip(dy.chunks_exact_mut(width)) {
                    let factor = (2.0 * weight(row) / total) as f32;
                    for (i, dy) in dy.iter_mut().enumerate() {
                        let at = row * width + i;
                        *dy = factor * (y.map_or(*dy, |y| y[at]) - target(at));
                    }
                }
            },
        );
    }
    sum / total
}
