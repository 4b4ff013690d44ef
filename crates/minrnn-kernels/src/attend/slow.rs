//! Attention as it is defined, in float64.

use super::{Mask, Size};

/// What it reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`.
    pub q: &'a [f64],
    /// `[B,T,2D]`, rows `[k | v]`.
    pub kv: &'a [f64],
    /// Steps since the begin, `[B,T]`.
    pub n: &'a [f64],
    /// The rows before the run, `[B,lag,2D]`; absent: none of them is seen.
    pub window: Option<&'a [f64]>,
}

/// A step of a head: what it reads, and the rows that it sees, oldest first.
struct Step {
    sequence: usize,
    head: usize,
    t: usize,
    /// Row of the run, negative before it.
    first: isize,
    rows: usize,
}

fn steps(i: &Inputs<'_>, size: Size) -> Vec<Step> {
    let past = i.window.map_or(0, |_| size.lag);
    let mut all = vec![];
    for sequence in 0..size.batch {
        for head in 0..size.heads {
            for t in 0..size.time {
                let reach = size.reach(i.n[sequence * size.time + t], t, past);
                all.push(Step {
                    sequence,
                    head,
                    t,
                    first: t as isize - reach as isize,
                    rows: reach + 1,
                });
            }
        }
    }
    all
}

impl Step {
    /// Where q and y of this head begin.
    fn q(&self, size: Size) -> usize {
        (self.sequence * size.time + self.t) * size.channels + self.head * size.head()
    }

    /// Where the keys of a seen row begin in `kv`, or before the run in `window`.
    fn row(&self, size: Size, i: usize) -> Result<usize, usize> {
        let (at, d) = (self.first + i as isize, size.channels);
        let channel = self.head * size.head();
        match usize::try_from(at) {
            Ok(at) => Ok((self.sequence * size.time + at) * 2 * d + channel),
            Err(_) => {
                let row = (size.lag as isize + at) as usize;
                Err((self.sequence * size.lag + row) * 2 * d + channel)
            }
        }
    }

    /// Weights before the dropout, their factors, and the logarithm of the sum of exponentials.
    fn weights(
        &self,
        i: &Inputs<'_>,
        size: Size,
        mask: Option<&Mask>,
    ) -> (Vec<f64>, Vec<f64>, f64) {
        let p = size.head();
        let q = &i.q[self.q(size)..][..p];
        let score = |row| -> f64 {
            let k = self.part(i, size, row, 0);
            q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (p as f64).sqrt()
        };
        let scores: Vec<f64> = (0..self.rows).map(score).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
        let log = most + sum.ln();
        let mut factors = vec![1.0; self.rows];
        if let Some(mask) = mask {
            let head = self.sequence * size.heads + self.head;
            mask.factors(head, self.t, self.first, &mut factors);
        }
        let factors = factors.into_iter().map(f64::from).collect();
        let weights = scores.iter().map(|s| (s - most).exp() / sum).collect();
        (weights, factors, log)
    }

    /// Keys (0) or values (1) of a seen row.
    fn part<'a>(&self, i: &Inputs<'a>, size: Size, row: usize, which: usize) -> &'a [f64] {
        let (from, p) = (which * size.channels, size.head());
        match self.row(size, row) {
            Ok(at) => &i.kv[at + from..][..p],
            Err(at) => &i.window.unwrap_or(&[])[at + from..][..p],
        }
    }
}

/// y `[B,T,D]`, and the logarithms of the sums of exponentials `[B,H,T]`.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn attend(i: &Inputs<'_>, size: Size, mask: Option<&Mask>) -> (Vec<f64>, Vec<f64>) {
    let (mut y, mut sums) = (vec![0.0; size.values()], vec![]);
    for step in steps(i, size) {
        let (weights, factors, log) = step.weights(i, size, mask);
        sums.push(log);
        for (row, (w, f)) in weights.iter().zip(&factors).enumerate() {
            let v = step.part(i, size, row, 1);
            let y = &mut y[step.q(size)..][..v.len()];
            y.iter_mut().zip(v).for_each(|(y, v)| *y += w * f * v);
        }
    }
    (y, sums)
}

/// Gradients of q and kv, given that of y. The rows before the run get none.
///
/// # Panics
/// As [`attend`].
pub fn attend_grad(
    i: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    dy: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut dq, mut dkv) = (vec![0.0; i.q.len()], vec![0.0; i.kv.len()]);
    let (p, scale) = (size.head(), 1.0 / (size.head() as f64).sqrt());
    for step in steps(i, size) {
        let (weights, factors, _) = step.weights(i, size, mask);
        let at = step.q(size);
        let (q, dy) = (&i.q[at..][..p], &dy[at..][..p]);
        let slope = |row: usize| -> f64 {
            let v = step.part(i, size, row, 1);
            factors[row] * dy.iter().zip(v).map(|(d, v)| d * v).sum::<f64>()
        };
        let slopes: Vec<f64> = (0..step.rows).map(slope).collect();
        let mean: f64 = slopes.iter().zip(&weights).map(|(s, w)| s * w).sum();
        for row in 0..step.rows {
            let (w, k) = (weights[row], step.part(i, size, row, 0));
            let dscore = w * (slopes[row] - mean) * scale;
            for c in 0..p {
                dq[at + c] += dscore * k[c];
            }
            if let Ok(row_at) = step.row(size, row) {
                for c in 0..p {
                    dkv[row_at + c] += dscore * q[c];
                    dkv[row_at + size.channels + c] += w * factors[row] * dy[c];
                }
            }
        }
    }
    (dq, dkv)
}
