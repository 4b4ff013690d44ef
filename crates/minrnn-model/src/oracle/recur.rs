//! Recurrences, one function a law: a step of one row, with what an f32 engine may be off after it.

use super::tensor::{Shape, Tensor};
use super::window::resets;
use super::{Run, UNIT};
use crate::graph::Law;

/// Products below it may be flushed to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Sums of whole numbers below it are exact.
const WHOLE: f64 = 4_194_304.0;

/// State of a row: values, and their bounds.
struct Row {
    h: Vec<f64>,
    e: Vec<f64>,
}

/// What a run begins with: exact values.
pub(super) fn given(values: &[f64], width: usize, bounds: bool) -> Tensor {
    let bound = if bounds {
        vec![0.0; values.len()]
    } else {
        vec![]
    };
    Tensor::new(values.to_vec(), bound, width)
}

/// `h[t]` of all steps; at a reset the state is its initial value again. `x`: the arguments of the law; `states`: what the run begins
/// with, and what a reset begins with.
pub(super) fn recur(
    law: Law,
    shape: Shape,
    x: &[&Tensor],
    [first, begin]: [&[f64]; 2],
    run: &Run,
) -> Tensor {
    let d = shape.width;
    let mut data = Vec::with_capacity(shape.len());
    let mut bound = Vec::with_capacity(if run.bounds { shape.len() } else { 0 });
    let step = match law {
        Law::Linear => linear,
        Law::Max => max,
        Law::Complex => complex,
    };
    for row in 0..shape.batch {
        let mut now = Row {
            h: first[row * d..(row + 1) * d].to_vec(),
            e: vec![0.0; d],
        };
        for t in 0..shape.time {
            if resets(run, row, t) {
                now.h.copy_from_slice(&begin[row * d..(row + 1) * d]);
                now.e.fill(0.0);
            }
            step(&mut now, x, (row * shape.time + t) * d);
            data.extend_from_slice(&now.h);
            if run.bounds {
                bound.extend_from_slice(&now.e);
            }
        }
    }
    Tensor::new(data, bound, d)
}

/// `h[t] = a[t] h[t-1] + b[t]`; the bound follows `E[t] = a E[t-1] + |h[t-1]| da + db + u (2 |a h| + |b|)`.
fn linear(now: &mut Row, x: &[&Tensor], at: usize) {
    let (a, b) = (x[0], x[1]);
    for c in 0..now.h.len() {
        let (i, h) = (at + c, now.h[c]);
        let product = a.data[i] * h;
        if counts(&now.e[c], a, x[1], i, h) {
            now.h[c] = product + b.data[i];
            continue;
        }
        now.e[c] = (a.data[i].abs() + a.err(i)) * now.e[c]
            + h.abs() * a.err(i)
            + b.err(i)
            + UNIT * (2.0 * product.abs() + b.data[i].abs())
            + TINY;
        now.h[c] = product + b.data[i];
    }
}

/// Whether a step adds a whole number to another, both known exactly: that has no rounding, in whatever order steps are added.
fn counts(e: &f64, a: &Tensor, b: &Tensor, i: usize, h: f64) -> bool {
    let whole = |v: f64| v.fract() == 0.0 && v.abs() < WHOLE;
    let exact = *e == 0.0 && a.err(i) == 0.0 && b.err(i) == 0.0;
    exact && a.data[i] == 1.0 && whole(h) && whole(b.data[i])
}

/// `h[t] = max(h[t-1], b[t])`: off by the larger of both.
fn max(now: &mut Row, x: &[&Tensor], at: usize) {
    for c in 0..now.h.len() {
        now.h[c] = now.h[c].max(x[0].data[at + c]);
        now.e[c] = now.e[c].max(x[0].err(at + c));
    }
}

/// `h[t] = a[t] h[t-1] + b[t]`, complex. The bound is one of the modulus, for both parts: by parts it would grow by |re a| + |im a| a step,
/// which is above 1 where |a| is not. Each part has two products, their difference or sum, and b: u (3 (|p| + |q|) + |b|).
fn complex(now: &mut Row, x: &[&Tensor], at: usize) {
    let (a, b) = (x[0], x[1]);
    let n = now.h.len() / 2;
    for c in 0..n {
        let (re, im) = (at + c, at + n + c);
        let (hr, hi) = (now.h[c], now.h[n + c]);
        let (ar, ai) = (a.data[re], a.data[im]);
        let (br, bi) = (b.data[re], b.data[im]);
        let (size, decay) = (libm::hypot(hr, hi), libm::hypot(ar, ai));
        let [da, db] = [a, b].map(|x| libm::hypot(x.err(re), x.err(im)));
        let rounded = 3.0 * std::f64::consts::SQRT_2 * decay * size + libm::hypot(br, bi);
        let e = (decay + da) * now.e[c] + size * da + db + UNIT * rounded + 4.0 * TINY;
        (now.e[c], now.e[n + c]) = (e, e);
        now.h[c] = hr * ar - hi * ai + br;
        now.h[n + c] = hr * ai + hi * ar + bi;
    }
}
