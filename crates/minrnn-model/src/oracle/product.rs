//! Matrix products.

use std::borrow::Cow;

use super::tensor::{Shape, Tensor};
use super::{Rounding, Run, UNIT, Weights};
use crate::graph::Param;

/// A row of a matrix, and bounds of its values (empty: all 0).
type Line<'a> = (Cow<'a, [f64]>, &'a [f64]);

/// The right side of a product.
#[derive(Clone, Copy)]
pub(super) enum Matrix<'a> {
    /// A parameter, read where it is.
    Param(Param, Weights<'a>),
    /// A value.
    Value(&'a Tensor),
}

impl Matrix<'_> {
    /// Row `i` of `columns` values.
    fn row(&self, i: usize, columns: usize) -> Line<'_> {
        let range = i * columns..(i + 1) * columns;
        match self {
            Self::Param(param, weights) => (weights.values(param.index(), range), &[]),
            Self::Value(t) => {
                let bounds = t.bound.get(range.clone()).unwrap_or(&[]);
                (Cow::Borrowed(&t.data[range]), bounds)
            }
        }
    }
}

/// `x W`, or `x W^T`. `narrow`: W's parameter, where it is stored in a narrower type; then the argument is rounded as the product of that
/// type rounds it.
pub(super) fn matmul(
    x: &Tensor,
    w: Matrix,
    transposed: bool,
    shape: Shape,
    run: &Run,
    narrow: Option<Param>,
) -> Tensor {
    let (Some(rounding), Some(param)) = (run.rounding, narrow) else {
        return plain(x, w, transposed, shape, run.bounds);
    };
    let x = rounded(x, rounding, param);
    let mut y = plain(&x, w, transposed, shape, run.bounds);
    if *rounding == Rounding::F16 {
        let f16 = |v: &mut f64| *v = half::f16::from_f64(*v).to_f64();
        y.data.iter_mut().for_each(f16);
    }
    y
}

fn plain(x: &Tensor, w: Matrix, transposed: bool, shape: Shape, bounds: bool) -> Tensor {
    let (n, k, rows) = (shape.width, x.width, shape.rows());
    let mut y = Tensor::new(
        vec![0.0; rows * n],
        vec![0.0; if bounds { rows * n } else { 0 }],
        n,
    );
    let (lines, columns) = if transposed { (n, k) } else { (k, n) };
    for i in 0..lines {
        let line = w.row(i, columns);
        for r in 0..rows {
            if transposed {
                dot(&mut y, x, (r * n + i, r * k), &line);
            } else {
                spread(&mut y, x, (r * n, r * k + i), &line);
            }
        }
    }
    y
}

/// What an f32 engine may be off in a term of a sum of k, over all orders of the sum, where W is exact.
fn scale(x: &Tensor, at: usize) -> f64 {
    x.err(at) + (x.width + 1) as f64 * UNIT * x.data[at].abs()
}

/// Adds a value of x times a row of W to a row of y.
fn spread(y: &mut Tensor, x: &Tensor, (to, from): (usize, usize), (w, ew): &Line) {
    let v = x.data[from];
    let out = &mut y.data[to..to + w.len()];
    out.iter_mut().zip(w.iter()).for_each(|(y, w)| *y += v * w);
    if y.bound.is_empty() {
        return;
    }
    let scale = scale(x, from);
    let out = &mut y.bound[to..to + w.len()];
    out.iter_mut()
        .zip(w.iter())
        .for_each(|(e, w)| *e += scale * w.abs());
    let most = v.abs() + x.err(from);
    out.iter_mut().zip(*ew).for_each(|(e, ew)| *e += most * ew);
}

/// A row of x times a row of W.
fn dot(y: &mut Tensor, x: &Tensor, (to, from): (usize, usize), (w, ew): &Line) {
    let v = &x.data[from..from + w.len()];
    y.data[to] = v.iter().zip(w.iter()).map(|(v, w)| v * w).sum();
    if y.bound.is_empty() {
        return;
    }
    let each = |(c, w): (usize, &f64)| {
        let ew = ew.get(c).copied().unwrap_or(0.0);
        scale(x, from + c) * w.abs() + (v[c].abs() + x.err(from + c)) * ew
    };
    y.bound[to] = w.iter().enumerate().map(each).sum();
}

/// The argument of a product as a graph with narrow weights takes it.
fn rounded(x: &Tensor, rounding: &Rounding, weight: Param) -> Tensor {
    let steps = |v: f64, largest: f64| {
        let scale = largest.max(1e-30) / 127.0;
        (v / scale).round_ties_even().clamp(-127.0, 127.0) * scale
    };
    let row = |row: &[f64]| -> Vec<f64> {
        let each = |f: &dyn Fn(f64) -> f64| row.iter().map(|v| f(*v)).collect();
        match rounding {
            Rounding::F16 => each(&|v| half::f16::from_f64(v).to_f64()),
            Rounding::Rows8 => {
                let largest = row.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                each(&|v| steps(v, largest))
            }
            Rounding::Static8(largest) => each(&|v| steps(v, largest[weight.index()])),
        }
    };
    let data = x.data.chunks_exact(x.width).flat_map(row).collect();
    Tensor::new(data, x.bound.clone(), x.width)
}
