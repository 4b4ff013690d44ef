//! Operations that know no time.

use std::ops::Range;

use super::functions::{binary, unary};
use super::tensor::{Shape, Tensor};
use super::{Data, Run, UNIT, Weights};
use crate::graph::{Binary, Op, Param, Reduction};

pub(super) fn apply(op: Op, params: Weights, shape: Shape, x: &[&Tensor], run: &Run) -> Tensor {
    let bounds = run.bounds;
    let each = |f: &dyn Fn(f64, f64) -> (f64, f64)| map(x[0], shape, bounds, f);
    match op {
        Op::Input => match run.data {
            Data::Features(f) => exact(f.iter().map(|v| f64::from(*v)).collect(), shape, bounds),
            Data::Tokens(ids) => {
                exact(ids.iter().map(|id| f64::from(*id)).collect(), shape, bounds)
            }
        },
        Op::Const { value } => exact(vec![value], shape, bounds),
        Op::Row { row } => {
            let at = row * shape.width;
            collect(shape, bounds, |i| (x[0].data[at + i], x[0].err(at + i)))
        }
        Op::Embed { table } => {
            let width = shape.width;
            let line = |id: &f64| {
                let row = *id as usize;
                let values = params.values(table.index(), row * width..(row + 1) * width);
                values.into_owned()
            };
            exact(x[0].data.iter().flat_map(line).collect(), shape, bounds)
        }
        Op::Unary(f) => each(&|v, e| unary(f, v, e)),
        Op::Binary(f) => pairs(f, x[0], x[1], shape, bounds),
        Op::Affine { mul, add } => each(&|v, e| {
            // Of nothing the same number is left, whatever it was.
            if mul == 0.0 && add == f64::from(add as f32) {
                return (v * mul + add, 0.0);
            }
            let (product, sum) = (v * mul, v * mul + add);
            (
                sum,
                e * mul.abs() + UNIT * (2.0 * product.abs() + add.abs() + sum.abs()),
            )
        }),
        Op::Reduce { kind, group } => reduce(kind, x[0], group, shape, bounds),
        Op::Repeat { block, times } => repeat(x[0], block, times, shape, bounds),
        Op::Narrow { start, len } => narrow(x[0], start, len, shape, bounds),
        Op::Concat => concat(x, shape, bounds),
        Op::Dropout { .. } => x[0].clone(),
        Op::Param { .. }
        | Op::MatMul { .. }
        | Op::Delay { .. }
        | Op::Conv { .. }
        | Op::Limit { .. }
        | Op::Recur { .. }
        | Op::Attend { .. }
        | Op::Last => {
            unreachable!("run by the caller, which knows time and parameters")
        }
        Op::Before { .. } | Op::Fold { .. } => {
            unreachable!("a fold is run as a whole")
        }
    }
}

/// Row of a table for each number of x, or a number that is no row of it. A row may be another where a number is not sure to half of one.
pub(super) fn rows_of(
    x: &Tensor,
    params: Weights,
    table: Param,
    shape: Shape,
    bounds: bool,
) -> Result<Tensor, f64> {
    let (width, count) = (shape.width, params.len_of(table.index()) / shape.width);
    let (mut data, mut bound) = (Vec::with_capacity(shape.len()), vec![]);
    for (i, at) in x.data.iter().enumerate() {
        // Towards zero, as a cast.
        let row = at.trunc();
        if !(row >= 0.0 && row < count as f64) {
            return Err(*at);
        }
        let from = row as usize * width;
        data.extend_from_slice(&params.values(table.index(), from..from + width));
        if bounds {
            let unsure = match x.err(i) < 0.5 {
                true => 0.0,
                false => f64::INFINITY,
            };
            bound.extend(std::iter::repeat_n(unsure, width));
        }
    }
    Ok(Tensor::new(data, bound, width))
}

/// Some rows of a parameter.
pub(super) fn parameter(
    params: Weights,
    param: Param,
    rows: Range<usize>,
    shape: Shape,
    bounds: bool,
) -> Tensor {
    let range = rows.start * shape.width..rows.end * shape.width;
    exact(
        params.values(param.index(), range).into_owned(),
        shape,
        bounds,
    )
}

pub(super) fn exact(data: Vec<f64>, shape: Shape, bounds: bool) -> Tensor {
    let bound = if bounds {
        vec![0.0; data.len()]
    } else {
        vec![]
    };
    Tensor::new(data, bound, shape.width)
}

fn collect(shape: Shape, bounds: bool, f: impl Fn(usize) -> (f64, f64)) -> Tensor {
    let mut data = Vec::with_capacity(shape.len());
    let mut bound = Vec::with_capacity(if bounds { shape.len() } else { 0 });
    for i in 0..shape.len() {
        let (value, err) = f(i);
        data.push(value);
        if bounds {
            bound.push(err);
        }
    }
    Tensor::new(data, bound, shape.width)
}

/// Elementwise: `f(value, its bound)`.
fn map(x: &Tensor, shape: Shape, bounds: bool, f: &dyn Fn(f64, f64) -> (f64, f64)) -> Tensor {
    collect(shape, bounds, |i| f(x.data[i], x.err(i)))
}

/// Elementwise over two arguments; one of width 1 is repeated over the channels, one of a single row over the rows.
fn pairs(f: Binary, x: &Tensor, y: &Tensor, shape: Shape, bounds: bool) -> Tensor {
    let (w, rows) = (shape.width, shape.rows());
    let at = |t: &Tensor, i: usize| {
        let row = if t.rows() == rows { i / w } else { 0 };
        row * t.width + if t.width == w { i % w } else { 0 }
    };
    collect(shape, bounds, |i| {
        let (ix, iy) = (at(x, i), at(y, i));
        binary(f, (x.data[ix], x.err(ix)), (y.data[iy], y.err(iy)))
    })
}

/// Groups of neighbouring channels to one each. The bound of a sum is that of any order: (n - 1) u sum |x|.
fn reduce(kind: Reduction, x: &Tensor, group: usize, shape: Shape, bounds: bool) -> Tensor {
    let n = group as f64;
    collect(shape, bounds, |i| {
        let range = i * group..(i + 1) * group;
        let line = &x.data[range.clone()];
        let sum: f64 = line.iter().sum();
        let size: f64 = line.iter().map(|v| v.abs()).sum();
        let errors: f64 = range.map(|i| x.err(i)).sum();
        match kind {
            Reduction::Sum => (sum, errors + (n - 1.0) * UNIT * size),
            // Two more: the quotient, and the factor 1/n where an engine multiplies by it.
            Reduction::Mean => (sum / n, (errors + (n + 1.0) * UNIT * size) / n),
        }
    })
}

fn repeat(x: &Tensor, block: usize, times: usize, shape: Shape, bounds: bool) -> Tensor {
    collect(shape, bounds, |i| {
        let from = i / (block * times) * block + i % block;
        (x.data[from], x.err(from))
    })
}

fn narrow(x: &Tensor, start: usize, len: usize, shape: Shape, bounds: bool) -> Tensor {
    collect(shape, bounds, |i| {
        let from = i / len * x.width + start + i % len;
        (x.data[from], x.err(from))
    })
}

fn concat(x: &[&Tensor], shape: Shape, bounds: bool) -> Tensor {
    let lines = |part: fn(&Tensor) -> &[f64]| -> Vec<f64> {
        let rows = 0..shape.batch * shape.time;
        rows.flat_map(|r| {
            x.iter()
                .flat_map(move |t| &part(t)[r * t.width..(r + 1) * t.width])
        })
        .copied()
        .collect()
    };
    let bound = if bounds { lines(|t| &t.bound) } else { vec![] };
    Tensor::new(lines(|t| &t.data), bound, shape.width)
}
