//! Element functions for f32 (written so that the compiler vectorises them) and f64 (libm).

mod exp;
mod sums;
#[cfg(test)]
mod tests;

pub(crate) use sums::{max, sum, sum2, sum3};

use candle_core::WithDType;

/// The types that kernels compute in. f64 is for checks, f32 for work.
pub(crate) trait Float: WithDType + Send + Sync + std::ops::Neg<Output = Self> {
    const ZERO: Self;
    const ONE: Self;
    const HALF: Self;

    /// `e^x` for `x <= 0`, the only sign that gates, softmax and tails need; NaN stays NaN.
    /// f32: within 2 ulp, and 0 where the result would be below the smallest normal number.
    fn exp_neg(self) -> Self;
    /// `P(X > y)` of the standard normal distribution for `y >= 0`, and `e^(-y^2/2)`.
    fn normal_tail(y: Self) -> (Self, Self);
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn ln(self) -> Self;
    /// `ln(1 + x)`.
    fn ln_1p(self) -> Self;
    /// `ln(1 + x)` for x from 0 to 1; NaN stays NaN. f32: within 3 ulp, without branches.
    fn ln_1p_unit(self) -> Self;
    /// The nearest value to `x`.
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
}

impl Float for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const HALF: Self = 0.5;

    #[inline(always)]
    fn exp_neg(self) -> Self {
        exp::exp_neg(self)
    }
    #[inline(always)]
    fn normal_tail(y: Self) -> (Self, Self) {
        exp::normal_tail(y)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        libm::logf(self)
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        libm::log1pf(self)
    }
    #[inline(always)]
    fn ln_1p_unit(self) -> Self {
        exp::ln_1p_unit(self)
    }
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const HALF: Self = 0.5;

    #[inline(always)]
    fn exp_neg(self) -> Self {
        libm::exp(self)
    }
    #[inline(always)]
    fn normal_tail(y: Self) -> (Self, Self) {
        let tail = 0.5 * libm::erfc(y * std::f64::consts::FRAC_1_SQRT_2);
        (tail, libm::exp(-0.5 * y * y))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        libm::log(self)
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        libm::log1p(self)
    }
    #[inline(always)]
    fn ln_1p_unit(self) -> Self {
        libm::log1p(self)
    }
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

/// `(sigmoid(x), sigmoid(-x))`, both with full relative accuracy: a gate at +-200 closes.
#[inline(always)]
pub(crate) fn sigmoids<T: Float>(x: T) -> (T, T) {
    let e = (-x.abs()).exp_neg();
    let large = T::ONE / (T::ONE + e);
    let small = e * large;
    if x >= T::ZERO {
        (large, small)
    } else {
        (small, large)
    }
}

/// The candidate `g(v) = v + 0.5 if v >= 0, else sigmoid(v)` and its slope; `v` and 1 if not `G`.
#[inline(always)]
pub(crate) fn candidate<T: Float, const G: bool>(v: T) -> (T, T) {
    if !G {
        return (v, T::ONE);
    }
    let (s, r) = sigmoids(v);
    let positive = v >= T::ZERO;
    (
        if positive { v + T::HALF } else { s },
        if positive { T::ONE } else { s * r },
    )
}
