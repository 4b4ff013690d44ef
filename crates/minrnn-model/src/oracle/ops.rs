//! Operations that know no time.

use super::tensor::{Shape, Tensor};
use super::{Data, Rounding, Run, UNIT, Weights};
use crate::graph::{Binary, Graph, Op, Param, Unary};

/// Results below the smallest normal f32 may be flushed to zero.
const TINY: f64 = 1.175_494_350_822_287_5e-38;
/// What a library function (exp, tanh, erf) may be off, relative.
const FUNCTION: f64 = 4.0 * UNIT;

pub(super) fn apply(
    op: Op,
    graph: &Graph,
    params: Weights,
    shape: Shape,
    x: &[&Tensor],
    run: &Run,
) -> Tensor {
    let row = |param: Param, row: usize| {
        params.values(param.index(), row * shape.width..(row + 1) * shape.width)
    };
    let each = |f: &dyn Fn(f64, f64, usize) -> (f64, f64)| map(x[0], shape, run.bounds, f);
    match op {
        Op::Input => match run.data {
            Data::Features(f) => {
                exact(f.iter().map(|v| f64::from(*v)).collect(), shape, run.bounds)
            }
            Data::Tokens(ids) => exact(
                ids.iter().map(|id| f64::from(*id)).collect(),
                shape,
                run.bounds,
            ),
        },
        Op::Embed { table } => {
            let line = |id: &f64| row(table, *id as usize).into_owned();
            exact(x[0].data.iter().flat_map(line).collect(), shape, run.bounds)
        }
        Op::MatMul { weight } => {
            let k = graph.param_spec(weight).shape[0];
            match run.rounding {
                None => matmul(x[0], params, weight, k, shape, run.bounds),
                Some(rounding) => {
                    let x = rounded(x[0], rounding, weight, k);
                    let mut y = matmul(&x, params, weight, k, shape, run.bounds);
                    if *rounding == Rounding::F16 {
                        let f16 = |v: &mut f64| *v = half::f16::from_f64(*v).to_f64();
                        y.data.iter_mut().for_each(f16);
                    }
                    y
                }
            }
        }
        Op::AddVec { param, row: r } => {
            let p = row(param, r);
            each(&|v, e, c| (v + p[c], e + UNIT * (v + p[c]).abs()))
        }
        Op::MulVec { param, row: r } => {
            let p = row(param, r);
            each(&|v, e, c| (v * p[c], e * p[c].abs() + UNIT * (v * p[c]).abs() + TINY))
        }
        Op::Unary(f) => each(&|v, e, _| unary(f, v, e)),
        Op::Binary(f) => binary(f, x[0], x[1], shape, run.bounds),
        Op::Affine { mul, add } => each(&|v, e, _| {
            let (product, sum) = (v * mul, v * mul + add);
            (
                sum,
                e * mul.abs() + UNIT * (2.0 * product.abs() + add.abs() + sum.abs()),
            )
        }),
        Op::Mean => mean(x[0], shape, run.bounds),
        Op::Narrow { start, len } => narrow(x[0], start, len, shape, run.bounds),
        Op::Concat => concat(x, shape, run.bounds),
        Op::Dropout { .. } => x[0].clone(),
        Op::Delay { .. } | Op::Recur { .. } | Op::Last => {
            unreachable!("run by the caller, which knows time")
        }
    }
}

fn exact(data: Vec<f64>, shape: Shape, bounds: bool) -> Tensor {
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

/// Elementwise: `f(value, its bound, channel)`.
fn map(
    x: &Tensor,
    shape: Shape,
    bounds: bool,
    f: &dyn Fn(f64, f64, usize) -> (f64, f64),
) -> Tensor {
    collect(shape, bounds, |i| f(x.data[i], x.err(i), i % shape.width))
}

/// `1 / (1 + e^-x)` without overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

fn unary(f: Unary, x: f64, e: f64) -> (f64, f64) {
    match f {
        Unary::Neg => (-x, e),
        Unary::Abs => (x.abs(), e),
        Unary::Relu => (x.max(0.0), e),
        Unary::Sigmoid => {
            // As Exp(Min(x, 0)) / (1 + Exp(-Abs(x))): the first exp counts for x < 0 only, the second by its share of the sum.
            let y = sigmoid(x);
            let functions = FUNCTION * (if x < 0.0 { 1.0 } else { 0.0 } + y.min(1.0 - y));
            (y, y * (1.0 - y) * e + y * (functions + 2.0 * UNIT) + TINY)
        }
        Unary::Tanh => {
            let y = libm::tanh(x);
            (y, (1.0 - y * y) * e + FUNCTION * y.abs() + TINY)
        }
        Unary::Exp => {
            let y = libm::exp(x);
            (y, y * (libm::expm1(e) + FUNCTION) + TINY)
        }
        Unary::Sqrt => {
            let y = x.sqrt();
            (
                y,
                if y > 0.0 {
                    e / (2.0 * y) + UNIT * y
                } else {
                    e.sqrt()
                },
            )
        }
        Unary::Erf => {
            let slope = std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x);
            (libm::erf(x), slope * e + FUNCTION)
        }
    }
}

fn binary(f: Binary, x: &Tensor, y: &Tensor, shape: Shape, bounds: bool) -> Tensor {
    let w = shape.width;
    let at = |t: &Tensor, i: usize| if t.width == w { i } else { i / w };
    collect(shape, bounds, |i| {
        let (ix, iy) = (at(x, i), at(y, i));
        let ((a, ea), (b, eb)) = ((x.data[ix], x.err(ix)), (y.data[iy], y.err(iy)));
        match f {
            Binary::Add => (a + b, ea + eb + UNIT * (a + b).abs()),
            Binary::Sub => (a - b, ea + eb + UNIT * (a - b).abs()),
            Binary::Mul => (
                a * b,
                a.abs() * eb + b.abs() * ea + ea * eb + UNIT * (a * b).abs() + TINY,
            ),
            Binary::Div => {
                let q = a / b;
                (q, (ea + q.abs() * eb) / b.abs() + UNIT * q.abs() + TINY)
            }
            Binary::Min => (a.min(b), ea.max(eb)),
        }
    })
}

fn matmul(
    x: &Tensor,
    params: Weights,
    weight: Param,
    k: usize,
    shape: Shape,
    bounds: bool,
) -> Tensor {
    let n = shape.width;
    let rows = shape.batch * shape.time;
    let mut data = vec![0.0; rows * n];
    let mut bound = vec![0.0; if bounds { rows * n } else { 0 }];
    for i in 0..k {
        let w = params.values(weight.index(), i * n..(i + 1) * n);
        for r in 0..rows {
            let v = x.data[r * k + i];
            let y = &mut data[r * n..(r + 1) * n];
            y.iter_mut().zip(w.iter()).for_each(|(y, w)| *y += v * w);
            if bounds {
                let scale = x.err(r * k + i) + (k + 1) as f64 * UNIT * v.abs();
                bound[r * n..(r + 1) * n]
                    .iter_mut()
                    .zip(w.iter())
                    .for_each(|(e, w)| *e += scale * w.abs());
            }
        }
    }
    Tensor::new(data, bound, n)
}

/// The argument of a product as a graph with narrow weights takes it.
fn rounded(x: &Tensor, rounding: &Rounding, weight: Param, k: usize) -> Tensor {
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
    let data = x.data.chunks_exact(k).flat_map(row).collect();
    Tensor::new(data, x.bound.clone(), x.width)
}

fn mean(x: &Tensor, shape: Shape, bounds: bool) -> Tensor {
    let w = x.width;
    collect(shape, bounds, |r| {
        let line = &x.data[r * w..(r + 1) * w];
        let sum: f64 = line.iter().sum();
        let size: f64 = line.iter().map(|v| v.abs()).sum();
        let errors: f64 = (r * w..(r + 1) * w).map(|i| x.err(i)).sum();
        (
            sum / w as f64,
            (errors + (w + 1) as f64 * UNIT * size) / w as f64,
        )
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
