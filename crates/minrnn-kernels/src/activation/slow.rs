//! Activations as they are defined, in float64: value and slope.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::Activation;

/// Value and slope at x.
pub fn activation(kind: Activation, x: f64) -> (f64, f64) {
    match kind {
        Activation::GeluErf => gelu_erf(x),
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Silu => silu(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Softplus => softplus(x),
    }
}

/// `x * P(X < x)`, X standard normal.
pub fn gelu_erf(x: f64) -> (f64, f64) {
    let below = 0.5 * libm::erfc(-x * FRAC_1_SQRT_2);
    let density = libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt();
    (x * below, below + x * density)
}

/// `x / 2 * (1 + tanh(u))`, `u = sqrt(2 / pi) * (x + 0.044715 x^3)`.
pub fn gelu_tanh(x: f64) -> (f64, f64) {
    let root = (2.0 / PI).sqrt();
    let tanh = libm::tanh(root * (x + 0.044_715 * x.powi(3)));
    let slope = root * (1.0 + 3.0 * 0.044_715 * x * x);
    let value = 0.5 * x * (1.0 + tanh);
    (
        value,
        0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope,
    )
}

/// `x / (1 + e^-x)`.
pub fn silu(x: f64) -> (f64, f64) {
    let s = 1.0 / (1.0 + libm::exp(-x));
    (x * s, s + x * s * (1.0 - s))
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> (f64, f64) {
    let (s, r) = (1.0 / (1.0 + libm::exp(-x)), 1.0 / (1.0 + libm::exp(x)));
    (s, s * r)
}

/// `ln(1 + e^x)`.
pub fn softplus(x: f64) -> (f64, f64) {
    (x.max(0.0) + libm::log1p(libm::exp(-x.abs())), sigmoid(x).0)
}
