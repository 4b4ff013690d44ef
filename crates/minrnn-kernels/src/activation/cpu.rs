//! Activations on the CPU.

use super::Activation;
use crate::column_sum::cpu::add_row;
use crate::dispatch::Level;
use crate::math::{Float, sigmoids};
use crate::parallel::{CHUNK, each_chunk, each_chunk_of_two, each_rows_summed};

/// Value and slope.
#[inline(always)]
fn gelu_erf<T: Float>(x: T) -> (T, T) {
    let (tail, bell) = T::normal_tail(x.abs());
    let below = if x >= T::ZERO { T::ONE - tail } else { tail };
    let density = bell * T::of(0.398_942_280_401_432_7);
    (x * below, below + x * density)
}

/// Value and slope. Beyond 16 the sigmoid is 0 or 1, and its slope 0, whatever x is:
/// limiting x there keeps its powers finite.
#[inline(always)]
fn gelu_tanh<T: Float>(x: T) -> (T, T) {
    let limit = T::of(16.0);
    let y = if x > limit { limit } else { x };
    let y = if y < -limit { -limit } else { y };
    let root = T::of(1.595_769_121_605_730_7);
    let cubic = T::of(0.044_715);
    let (s, r) = sigmoids(root * (y + cubic * y * y * y));
    let slope = root * (T::ONE + T::of(3.0) * cubic * y * y);
    (x * s, s + y * (s * r) * slope)
}

/// Value and slope.
#[inline(always)]
fn silu<T: Float>(x: T) -> (T, T) {
    let (s, r) = sigmoids(x);
    (x * s, s + x * (s * r))
}

/// Value and slope.
#[inline(always)]
fn sigmoid<T: Float>(x: T) -> (T, T) {
    let (s, r) = sigmoids(x);
    (s, s * r)
}

/// Value and slope.
#[inline(always)]
pub(crate) fn softplus<T: Float>(x: T) -> (T, T) {
    let e = (-x.abs()).exp_neg();
    let large = T::ONE / (T::ONE + e);
    let (high, slope) = if x >= T::ZERO {
        (x, large)
    } else {
        (T::ZERO, e * large)
    };
    (high + e.ln_1p_unit(), slope)
}

/// Calls `$run` with the arguments and the function: value and slope.
macro_rules! with_function {
    ($kind:expr, $run:ident($($argument:expr),*)) => {
        match $kind {
            Activation::GeluErf => $run($($argument),*, gelu_erf),
            Activation::GeluTanh => $run($($argument),*, gelu_tanh),
            Activation::Silu => $run($($argument),*, silu),
            Activation::Sigmoid => $run($($argument),*, sigmoid),
            Activation::Softplus => $run($($argument),*, softplus),
        }
    };
}

pub(super) fn values<T: Float>(level: Level, kind: Activation, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    with_function!(kind, map(level, x, &mut y));
    y
}

pub(super) fn gradient<T: Float>(level: Level, kind: Activation, x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    with_function!(kind, map_gradient(level, x, dy, &mut dx));
    dx
}

/// `y = f(x)` in memory of the caller.
pub fn forward(kind: Activation, x: &[f32], y: &mut [f32]) {
    with_function!(kind, map(Level::best(), x, y));
}

/// A gate: `y = a f(x)`.
pub fn gate(kind: Activation, a: &[f32], x: &[f32], y: &mut [f32]) {
    with_function!(kind, gate_by(a, x, y));
}

fn gate_by(a: &[f32], x: &[f32], y: &mut [f32], f: impl Fn(f32) -> (f32, f32) + Sync + Send) {
    let elements = y.len();
    each_chunk(
        Level::best(),
        y,
        CHUNK,
        elements,
        #[inline(always)]
        |from, y| {
            let both = a[from..].iter().zip(&x[from..]);
            for (y, (&a, &x)) in y.iter_mut().zip(both) {
                *y = a * f(x).0;
            }
        },
    );
}

/// Its gradients: in `da`, where the gradient of y lies, that of a; in `dx`, where x lies, that of x.
pub fn gate_backward(kind: Activation, a: &[f32], da: &mut [f32], dx: &mut [f32]) {
    with_function!(kind, gate_backward_by(a, da, dx));
}

fn gate_backward_by(
    a: &[f32],
    da: &mut [f32],
    dx: &mut [f32],
    f: impl Fn(f32) -> (f32, f32) + Sync + Send,
) {
    let elements = da.len();
    each_chunk_of_two(
        Level::best(),
        [da, dx],
        CHUNK,
        elements,
        #[inline(always)]
        |from, [da, dx]| {
            for ((da, dx), &a) in da.iter_mut().zip(dx).zip(&a[from..]) {
                let (value, slope) = f(*dx);
                *dx = *da * a * slope;
                *da *= value;
            }
        },
    );
}

/// The gradient of x takes its place, with the sums of its columns (`sums` as long as a row; empty: none). `work` is memory
/// to work in.
pub fn backward(
    kind: Activation,
    x: &mut [f32],
    dy: &[f32],
    sums: &mut [f32],
    work: &mut Vec<f32>,
) {
    with_function!(kind, backward_by(x, dy, sums, work));
}

fn backward_by(
    x: &mut [f32],
    dy: &[f32],
    sums: &mut [f32],
    work: &mut Vec<f32>,
    f: impl Fn(f32) -> (f32, f32) + Sync + Send,
) {
    let (level, elements, width) = (Level::best(), x.len(), sums.len());
    if width == 0 {
        return each_chunk(
            level,
            x,
            CHUNK,
            elements,
            #[inline(always)]
            |from, x| slopes(x, &dy[from..], &f),
        );
    }
    each_rows_summed(
        level,
        elements / width,
        elements,
        [x],
        [sums],
        false,
        work,
        #[inline(always)]
        |range, [x], sums| {
            for (row, x) in range.zip(x.chunks_exact_mut(width)) {
                slopes(x, &dy[row * width..], &f);
                add_row(sums, x);
            }
        },
    );
}

/// `x = f'(x) dy`.
#[inline(always)]
fn slopes(x: &mut [f32], dy: &[f32], f: impl Fn(f32) -> (f32, f32)) {
    for (x, &dy) in x.iter_mut().zip(dy) {
        *x = f(*x).1 * dy;
    }
}

fn map<T: Float>(level: Level, x: &[T], y: &mut [T], f: impl Fn(T) -> (T, T) + Sync + Send) {
    each_chunk(
        level,
        y,
        CHUNK,
        x.len(),
        #[inline(always)]
        |from, y| {
            for (y, &x) in y.iter_mut().zip(&x[from..]) {
                *y = f(x).0;
            }
        },
    );
}

fn map_gradient<T: Float>(
    level: Level,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
    f: impl Fn(T) -> (T, T) + Sync + Send,
) {
    each_chunk(
        level,
        dx,
        CHUNK,
        x.len(),
        #[inline(always)]
        |from, dx| {
            for ((dx, &x), &dy) in dx.iter_mut().zip(&x[from..]).zip(&dy[from..]) {
                *dx = f(x).1 * dy;
            }
        },
    );
}
