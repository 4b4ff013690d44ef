//! Elementwise functions: values and what an f32 engine may be off.

use super::UNIT;
use crate::graph::{Binary, Unary};

/// Results below the smallest normal f32 may be flushed to zero.
const TINY: f64 = 1.175_494_350_822_287_5e-38;
/// What a library function (exp, tanh, erf) may be off, relative.
const FUNCTION: f64 = 4.0 * UNIT;

/// `1 / (1 + e^-x)` without overflow.
fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// Value and bound, from the argument's.
pub(super) fn unary(f: Unary, x: f64, e: f64) -> (f64, f64) {
    match f {
        Unary::Neg => (-x, e),
        Unary::Abs => (x.abs(), e),
        Unary::Relu => (x.max(0.0), e),
        Unary::Sigmoid => {
            // As Exp(Min(x, 0)) / (1 + Exp(-Abs(x))): the first exp counts for x < 0 only, the second by its share of the sum.
            let y = sigmoid(x);
            let functions = FUNCTION * (if x < 0.0 { 1.0 } else { 0.0 } + y.min(1.0 - y));
            // Neither is out of [0, 1].
            let moved = (y * (1.0 - y) * e).min(y.max(1.0 - y));
            (y, moved + y * (functions + 2.0 * UNIT) + TINY)
        }
        Unary::Tanh => {
            let y = libm::tanh(x);
            // Neither is out of [-1, 1].
            let moved = ((1.0 - y * y) * e).min(1.0 + y.abs());
            (y, moved + FUNCTION * y.abs() + TINY)
        }
        Unary::Exp => {
            let y = libm::exp(x);
            // exp(x + e) - exp(x); where exp(x) is 0, e may be so large that its exponential is none.
            let moved = match y == 0.0 {
                true => libm::exp(x + e),
                false => y * libm::expm1(e),
            };
            (y, moved + FUNCTION * y + TINY)
        }
        Unary::Log => {
            let y = libm::log(x);
            // The slope is largest at x - e; from 0 on there is no bound.
            let moved = if x > e { e / (x - e) } else { f64::INFINITY };
            (y, moved + FUNCTION * y.abs() + TINY)
        }
        Unary::Sin => (libm::sin(x), e.min(2.0) + FUNCTION),
        Unary::Cos => (libm::cos(x), e.min(2.0) + FUNCTION),
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

/// Value and bound, from the values and bounds of both arguments.
pub(super) fn binary(f: Binary, (a, ea): (f64, f64), (b, eb): (f64, f64)) -> (f64, f64) {
    match f {
        Binary::Add => (a + b, ea + eb + UNIT * (a + b).abs()),
        Binary::Sub => (a - b, ea + eb + UNIT * (a - b).abs()),
        Binary::Mul => {
            // A bound may be infinite; what is exact adds nothing then.
            let moved = match (ea == 0.0, eb == 0.0) {
                (_, true) => b.abs() * ea,
                (true, false) => a.abs() * eb,
                (false, false) => a.abs() * eb + b.abs() * ea + ea * eb,
            };
            (a * b, moved + UNIT * (a * b).abs() + TINY)
        }
        Binary::Div => {
            let q = a / b;
            (q, (ea + q.abs() * eb) / b.abs() + UNIT * q.abs() + TINY)
        }
        Binary::Min => (a.min(b), ea.max(eb)),
        Binary::Max => (a.max(b), ea.max(eb)),
    }
}
