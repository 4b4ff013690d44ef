//! Activations on the CPU.

use super::Activation;
use crate::dispatch::Level;
use crate::math::{Float, sigmoids};
use crate::parallel::{CHUNK, each_chunk};

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
fn softplus<T: Float>(x: T) -> (T, T) {
    let e = (-x.abs()).exp_neg();
    let large = T::ONE / (T::ONE + e);
    let (high, slope) = if x >= T::ZERO {
        (x, large)
    } else {
        (T::ZERO, e * large)
    };
    (high + e.ln_1p_unit(), slope)
}

pub(super) fn forward<T: Float>(level: Level, kind: Activation, x: &[T]) -> Vec<T> {
    match kind {
        Activation::GeluErf => map(level, x, gelu_erf),
        Activation::GeluTanh => map(level, x, gelu_tanh),
        Activation::Silu => map(level, x, silu),
        Activation::Sigmoid => map(level, x, sigmoid),
        Activation::Softplus => map(level, x, softplus),
    }
}

pub(super) fn backward<T: Float>(level: Level, kind: Activation, x: &[T], dy: &[T]) -> Vec<T> {
    match kind {
        Activation::GeluErf => map_gradient(level, x, dy, gelu_erf),
        Activation::GeluTanh => map_gradient(level, x, dy, gelu_tanh),
        Activation::Silu => map_gradient(level, x, dy, silu),
        Activation::Sigmoid => map_gradient(level, x, dy, sigmoid),
        Activation::Softplus => map_gradient(level, x, dy, softplus),
    }
}

fn map<T: Float>(level: Level, x: &[T], f: impl Fn(T) -> (T, T) + Sync + Send) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    each_chunk(
        level,
        &mut y,
        CHUNK,
        x.len(),
        #[inline(always)]
        |from, y| {
            for (y, &x) in y.iter_mut().zip(&x[from..]) {
                *y = f(x).0;
            }
        },
    );
    y
}

fn map_gradient<T: Float>(
    level: Level,
    x: &[T],
    dy: &[T],
    f: impl Fn(T) -> (T, T) + Sync + Send,
) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    each_chunk(
        level,
        &mut dx,
        CHUNK,
        x.len(),
        #[inline(always)]
        |from, dx| {
            for ((dx, &x), &dy) in dx.iter_mut().zip(&x[from..]).zip(&dy[from..]) {
                *dx = f(x).1 * dy;
            }
        },
    );
    dx
}
