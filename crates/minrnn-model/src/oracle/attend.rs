//! Attention over a window. A counter of steps begins anew with the rows, so that no step sees what was before a reset.

use super::tensor::Tensor;
use super::window::Past;
use super::{Run, UNIT};
use crate::error::{ModelError, Result};

/// A visible row of `[k | v]`: values, and their bounds (empty: exact).
type Seen<'a> = (&'a [f64], &'a [f64]);

/// `y = sum p v` over the rows that each step sees, oldest first; arguments q, `[k | v]` and n. Rows that are hidden are left out.
///
/// The bound, with W rows seen and E the largest bound of a score: `sum p e(v) + (exp(2E) (1 + (W + 8) u) - 1) sum p |v|`, and where that is
/// more, or no number any longer, how far the values seen lie apart: shares that are not negative never leave them.
pub(super) fn attend(
    [q, kv, n]: [&Tensor; 3],
    heads: usize,
    past: Past,
    run: &Run,
) -> Result<Tensor> {
    let d = q.width;
    let mut y = Tensor::new(Vec::with_capacity(q.data.len()), vec![], d);
    for row in 0..run.batch {
        for t in 0..run.time {
            let at = row * run.time + t;
            let count = seen(n.data[at], past.lag())?;
            let line = |age: usize| -> Seen {
                match t.checked_sub(age) {
                    Some(_) => {
                        let range = (at - age) * 2 * d..(at - age + 1) * 2 * d;
                        let bound = kv.bound.get(range.clone()).unwrap_or(&[]);
                        (&kv.data[range], bound)
                    }
                    None => (past.row(row, age - t, 2 * d), &[]),
                }
            };
            let rows: Vec<Seen> = (0..count).rev().map(line).collect();
            for head in 0..heads {
                one(&mut y, q, at, (head, d / heads), &rows, run.bounds);
            }
        }
    }
    Ok(y)
}

/// How many rows a step sees.
fn seen(n: f64, lag: usize) -> Result<usize> {
    if n.fract() != 0.0 || n < 1.0 {
        return Err(ModelError::input(format!(
            "attention takes steps since the begin, 1 or more, got {n}"
        )));
    }
    Ok(n.min((lag + 1) as f64) as usize)
}

/// A head of one step.
fn one(
    y: &mut Tensor,
    q: &Tensor,
    at: usize,
    (head, p): (usize, usize),
    rows: &[Seen],
    bounds: bool,
) {
    let (from, d) = (at * q.width + head * p, q.width);
    let scale = 1.0 / libm::sqrt(p as f64);
    let bound = |row: &Seen, c: usize| row.1.get(c).copied().unwrap_or(0.0);
    let (mut scores, mut worst) = (Vec::with_capacity(rows.len()), 0.0_f64);
    for row in rows {
        let (mut score, mut size, mut moved) = (0.0, 0.0, 0.0);
        for c in 0..p {
            let (a, b) = (q.data[from + c], row.0[head * p + c]);
            score += a * b;
            if bounds {
                let (ea, eb) = (q.err(from + c), bound(row, head * p + c));
                size += (a * b).abs();
                moved += ea * b.abs() + eb * a.abs() + ea * eb;
            }
        }
        // Of the products, the sum, the factor, and the difference to the largest.
        let e = scale * (moved + (p + 4) as f64 * UNIT * size);
        worst = worst.max(e + UNIT * (scale * score).abs());
        scores.push(scale * score);
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    worst += UNIT * (most - least);
    let weights: Vec<f64> = scores.iter().map(|s| libm::exp(s - most)).collect();
    let sum: f64 = weights.iter().sum();
    let off = libm::expm1(2.0 * worst) * (1.0 + (rows.len() + 8) as f64 * UNIT)
        + (rows.len() + 8) as f64 * UNIT;
    for c in head * p..(head + 1) * p {
        let (mut value, mut size, mut moved) = (0.0, 0.0, 0.0);
        let (mut low, mut high, mut far) = (f64::INFINITY, f64::NEG_INFINITY, 0.0_f64);
        for (row, w) in rows.iter().zip(&weights) {
            let v = row.0[d + c];
            (low, high) = (low.min(v), high.max(v));
            far = far.max(bound(row, d + c));
            value += w / sum * v;
            if bounds {
                size += w / sum * v.abs();
                moved += w / sum * bound(row, d + c);
            }
        }
        y.data.push(value);
        if bounds {
            // Weights below the smallest number are none.
            let flushed = f64::from(f32::MIN_POSITIVE) * (rows.len() as f64);
            let sums = (rows.len() + 8) as f64 * UNIT * (low.abs().max(high.abs()) + far);
            let apart = high - low + far + sums;
            y.bound.push((moved + off * size).min(apart) + flushed);
        }
    }
}
