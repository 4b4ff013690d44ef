//! Functions of one and two arguments.

use minrnn_model::graph::{Binary, Unary};

use super::put;
use crate::activation::cpu::softplus;
use crate::dispatch::Level;
use crate::elementwise::{Map, slow};
use crate::math::{Float, sigmoids};
use crate::parallel::{CHUNK, each_chunk, each_row};

/// Calls `$run` with the arguments and the function: value and slope. What is not worth a loop of its own is computed in
/// float64.
macro_rules! with_function {
    ($f:expr, $run:ident($($argument:expr),*)) => {
        match $f {
            Map::Copy => $run($($argument),*, #[inline(always)] |x| (x, 1.0)),
            Map::Affine { mul, add } => {
                let (mul, add) = (mul as f32, add as f32);
                $run($($argument),*, #[inline(always)] |x| (x * mul + add, mul));
            }
            Map::Unary(Unary::Neg) => $run($($argument),*, #[inline(always)] |x| (-x, -1.0)),
            Map::Unary(Unary::Relu) => $run($($argument),*, relu),
            Map::Unary(Unary::Sigmoid) => $run($($argument),*, sigmoid),
            Map::Unary(Unary::Exp) => $run($($argument),*, exp),
            Map::Softplus => $run($($argument),*, softplus),
            f => $run($($argument),*, |x| {
                let (value, slope) = slow::map(f, f64::from(x));
                (value as f32, slope as f32)
            }),
        }
    };
}

#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    if x <= 0.0 { (0.0, 0.0) } else { (x, 1.0) }
}

#[inline(always)]
fn sigmoid(x: f32) -> (f32, f32) {
    let (s, r) = sigmoids(x);
    (s, s * r)
}

/// Of either sign. Large ones as a square: `e^-x` is 0 before `e^x` is infinite.
#[inline(always)]
fn exp(x: f32) -> (f32, f32) {
    let large = x > 80.0;
    let part = if large { 0.5 * x } else { x };
    let e = (-part.abs()).exp_neg();
    let e = if x > 0.0 { 1.0 / e } else { e };
    let e = if large { e * e } else { e };
    (e, e)
}

/// `y = f(x)`, or `y += f(x)`.
pub fn map(f: Map, x: &[f32], y: &mut [f32], add: bool) {
    with_function!(f, map_by(x, y, add));
}

fn map_by(x: &[f32], y: &mut [f32], add: bool, f: impl Fn(f32) -> (f32, f32) + Sync + Send) {
    let elements = y.len();
    each_chunk(
        Level::best(),
        y,
        CHUNK,
        elements,
        #[inline(always)]
        |from, y| {
            for (y, &x) in y.iter_mut().zip(&x[from..]) {
                put(y, f(x).0, add);
            }
        },
    );
}

/// `dx (+)= f'(x) dy`.
pub fn map_grad(f: Map, x: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    with_function!(f, map_grad_by(x, dy, dx, add));
}

fn map_grad_by(
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    add: bool,
    f: impl Fn(f32) -> (f32, f32) + Sync + Send,
) {
    let elements = dx.len();
    each_chunk(
        Level::best(),
        dx,
        CHUNK,
        elements,
        #[inline(always)]
        |from, dx| {
            for ((dx, &x), &dy) in dx.iter_mut().zip(&x[from..]).zip(&dy[from..]) {
                put(dx, f(x).1 * dy, add);
            }
        },
    );
}

/// The same of two arguments: value and slopes.
macro_rules! with_binary {
    ($f:expr, $run:ident($($argument:expr),*)) => {
        match $f {
            Binary::Add => $run($($argument),*, #[inline(always)] |a, b| (a + b, [1.0, 1.0])),
            Binary::Sub => $run($($argument),*, #[inline(always)] |a, b| (a - b, [1.0, -1.0])),
            Binary::Mul => $run($($argument),*, #[inline(always)] |a, b| (a * b, [b, a])),
            f => $run($($argument),*, |a, b| {
                let (value, slopes) = slow::map2(f, f64::from(a), f64::from(b));
                (value as f32, slopes.map(|s| s as f32))
            }),
        }
    };
}

/// Row `row` of an argument `[rows, width]`, or its one value for that row.
#[derive(Clone, Copy)]
enum Row<'a> {
    Each(&'a [f32]),
    One(f32),
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn of(values: &'a [f32], row: usize, rows: usize, width: usize) -> Self {
        match values.len() == rows {
            true => Self::One(values[row]),
            false => Self::Each(&values[row * width..][..width]),
        }
    }
}

/// Calls `f(i, a, b)` along a row.
#[inline(always)]
fn along(a: Row<'_>, b: Row<'_>, width: usize, mut f: impl FnMut(usize, f32, f32)) {
    match (a, b) {
        (Row::Each(a), Row::Each(b)) => (0..width).for_each(|i| f(i, a[i], b[i])),
        (Row::Each(a), Row::One(b)) => (0..width).for_each(|i| f(i, a[i], b)),
        (Row::One(a), Row::Each(b)) => (0..width).for_each(|i| f(i, a, b[i])),
        (Row::One(a), Row::One(b)) => (0..width).for_each(|i| f(i, a, b)),
    }
}

/// `y = f(a, b)`, `[rows, width]`; an argument of one channel is repeated.
pub fn map2(f: Binary, a: &[f32], b: &[f32], y: &mut [f32], width: usize) {
    with_binary!(f, map2_by(a, b, y, width));
}

fn map2_by(
    a: &[f32],
    b: &[f32],
    y: &mut [f32],
    width: usize,
    f: impl Fn(f32, f32) -> (f32, [f32; 2]) + Sync + Send,
) {
    let rows = y.len() / width;
    each_row(
        Level::best(),
        y,
        width,
        #[inline(always)]
        |row, y| {
            let (a, b) = (Row::of(a, row, rows, width), Row::of(b, row, rows, width));
            along(
                a,
                b,
                width,
                #[inline(always)]
                |i, a, b| y[i] = f(a, b).0,
            );
        },
    );
}

/// The gradient of one argument of [`map2`].
#[derive(Debug)]
pub struct Map2Grad<'a> {
    /// The function.
    pub f: Binary,
    /// Which argument, 0 or 1.
    pub which: usize,
    /// The first.
    pub a: &'a [f32],
    /// The second.
    pub b: &'a [f32],
    /// `[rows, width]`.
    pub dy: &'a [f32],
    /// As the argument; of one channel: summed over the channels.
    pub dx: &'a mut [f32],
    /// Whether it is added to what is there.
    pub add: bool,
    /// Channels.
    pub width: usize,
}

/// Writes it.
pub fn map2_grad(grad: Map2Grad<'_>) {
    with_binary!(grad.f, map2_grad_by(grad));
}

fn map2_grad_by(grad: Map2Grad<'_>, f: impl Fn(f32, f32) -> (f32, [f32; 2]) + Sync + Send) {
    let Map2Grad {
        which,
        a,
        b,
        dy,
        dx,
        add,
        width,
        ..
    } = grad;
    let rows = dy.len() / width;
    let own = dx.len() / rows;
    each_row(
        Level::best(),
        dx,
        own,
        #[inline(always)]
        |row, dx| {
            let (a, b) = (Row::of(a, row, rows, width), Row::of(b, row, rows, width));
            let dy = &dy[row * width..][..width];
            let slope = |i: usize, a, b| f(a, b).1[which] * dy[i];
            if own == width {
                return along(a, b, width, |i, a, b| put(&mut dx[i], slope(i, a, b), add));
            }
            let mut sum = 0.0;
            along(a, b, width, |i, a, b| sum += slope(i, a, b));
            put(&mut dx[0], sum, add);
        },
    );
}

/// `y = x + p` or `y = x * p` for every row of x, or added to y.
pub fn vec(multiply: bool, x: &[f32], p: &[f32], y: &mut [f32], add: bool) {
    let width = p.len();
    each_row(
        Level::best(),
        y,
        width,
        #[inline(always)]
        |row, y| {
            let x = &x[row * width..][..width];
            for ((y, &x), &p) in y.iter_mut().zip(x).zip(p) {
                put(y, if multiply { x * p } else { x + p }, add);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also where loops of their own stand for the definition, at and beyond the borders of f32.
    #[test]
    fn functions_are_those_of_the_definition() {
        let x: Vec<f32> = (-2000..2000)
            .map(|i| i as f32 * 0.05)
            .chain([88.7, 90.0, -90.0, -0.0, 1e-20])
            .collect();
        let unary = [
            Unary::Neg,
            Unary::Abs,
            Unary::Relu,
            Unary::Sigmoid,
            Unary::Tanh,
            Unary::Exp,
            Unary::Erf,
        ];
        let (mul, add) = (1.5, -0.25);
        let all = unary.map(Map::Unary).into_iter();
        for f in all.chain([Map::Copy, Map::Softplus, Map::Affine { mul, add }]) {
            let (mut y, mut dx) = (vec![1.0; x.len()], vec![0.0; x.len()]);
            map(f, &x, &mut y, true);
            map_grad(f, &x, &vec![2.0; x.len()], &mut dx, false);
            for (i, &x) in x.iter().enumerate() {
                let (value, slope) = slow::map(f, f64::from(x));
                let near = |got: f32, want: f64| {
                    let error = (f64::from(got) - want).abs();
                    got == want as f32 || error <= 6e-7 * (want.abs() + 1.0)
                };
                assert!(near(y[i], 1.0 + value), "{f:?} {x}: {} {value}", y[i]);
                assert!(near(dx[i], 2.0 * slope), "{f:?} {x}: {} {slope}", dx[i]);
            }
        }
    }
}
