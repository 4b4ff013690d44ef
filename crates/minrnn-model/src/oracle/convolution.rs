//! Convolutions with taps that are values, and limits of counts.

use super::tensor::Tensor;
use super::window::{len, resets};
use super::{Run, UNIT};
use crate::error::{ModelError, Result};

/// Products below it may be flushed to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// `y[t] = sum_j taps[j] * x[t - j]`, from the oldest row to the newest; before a row's begin (or its last reset) rows of the state. The
/// bound is that of any order: n u sum |taps x|.
pub(super) fn conv([x, taps]: [&Tensor; 2], first: &[f64], begin: &[f64], run: &Run) -> Tensor {
    let (d, count) = (x.width, taps.rows());
    let lag = count - 1;
    let mut y = Tensor::new(Vec::with_capacity(x.data.len()), vec![], d);
    for row in 0..run.batch {
        let mut start = None;
        for t in 0..run.time {
            if resets(run, row, t) {
                start = Some(t);
            }
            let since = t - start.unwrap_or(0);
            let before = if start.is_some() { begin } else { first };
            let (mut sums, mut sizes, mut moved) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
            for j in (0..count).rev() {
                // Values, where they begin, and whether they have a bound.
                let (values, at, carried) = match since.checked_sub(j) {
                    Some(_) => (&x.data[..], (row * run.time + t - j) * d, true),
                    None => (before, (row * lag + lag + since - j) * d, false),
                };
                for c in 0..d {
                    let (v, tap) = (values[at + c], taps.data[j * d + c]);
                    let error = if carried { x.err(at + c) } else { 0.0 };
                    let known = taps.err(j * d + c);
                    sums[c] += tap * v;
                    sizes[c] += (tap * v).abs();
                    moved[c] += tap.abs() * error + known * (v.abs() + error) + TINY;
                }
            }
            y.data.extend_from_slice(&sums);
            if run.bounds {
                let unit = count as f64 * UNIT;
                y.bound
                    .extend(sizes.iter().zip(&moved).map(|(s, m)| m + unit * s));
            }
        }
    }
    y
}

/// 1 for each step; a number that is not from 0 to `most` is an error, but behind a row's end.
pub(super) fn limit(x: &Tensor, most: usize, run: &Run) -> Result<Tensor> {
    for row in 0..run.batch {
        let steps = &x.data[row * run.time..row * run.time + len(run, row)];
        let wrong = |n: &f64| !(-0.5..most as f64 + 0.5).contains(n);
        if let Some(t) = steps.iter().position(wrong) {
            return Err(ModelError::input(format!(
                "step {t} of row {row} is number {} of its sequence, and the model takes {most} steps; begin anew before, or make a model of longer sequences",
                steps[t]
            )));
        }
    }
    let bound = if run.bounds {
        vec![0.0; x.data.len()]
    } else {
        vec![]
    };
    Ok(Tensor::new(vec![1.0; x.data.len()], bound, 1))
}

#[cfg(test)]
mod tests;
