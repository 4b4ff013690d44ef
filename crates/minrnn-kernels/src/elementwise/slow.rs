//! Elementwise functions as they are defined, in float64: value and slopes.

use minrnn_model::graph::Binary;

use super::{Map, binary, unary};

/// Value and slope of `f` at x.
///
/// # Panics
/// On a function without a kernel ([`has_unary`](super::has_unary)).
pub fn map(f: Map, x: f64) -> (f64, f64) {
    match f {
        Map::Copy => (x, 1.0),
        Map::Affine { mul, add } => (x * mul + add, mul),
        Map::Softplus => crate::activation::slow::softplus(x),
        Map::Unary(f) => unary(f).expect("has_unary was asked").2(x),
    }
}

/// Value of `f` at (a, b), and its slopes along both.
///
/// # Panics
/// On a function without a kernel ([`has_binary`](super::has_binary)).
pub fn map2(f: Binary, a: f64, b: f64) -> (f64, [f64; 2]) {
    binary(f).expect("has_binary was asked").2(a, b)
}

pub(super) fn abs(x: f64) -> (f64, f64) {
    (x.abs(), f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)))
}

pub(super) fn relu(x: f64) -> (f64, f64) {
    (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 })
}

pub(super) fn tanh(x: f64) -> (f64, f64) {
    (libm::tanh(x), 1.0 - libm::tanh(x).powi(2))
}

pub(super) fn erf(x: f64) -> (f64, f64) {
    let slope = std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x);
    (libm::erf(x), slope)
}

pub(super) fn min(a: f64, b: f64) -> (f64, [f64; 2]) {
    if a <= b {
        (a, [1.0, 0.0])
    } else {
        (b, [0.0, 1.0])
    }
}

pub(super) fn max(a: f64, b: f64) -> (f64, [f64; 2]) {
    if a >= b {
        (a, [1.0, 0.0])
    } else {
        (b, [0.0, 1.0])
    }
}
