//! Functions of gates, without branches: loops over channels are vectors.

use crate::math::{Float, sigmoids};

#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    sigmoids(x).0
}

/// Within 3 ulp: near 0, where the quotient would lose digits, the series; NaN stays NaN.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let e = (-2.0 * size).exp_neg();
    let quotient = (1.0 - e) / (1.0 + e);
    let q = x * x;
    let p = 2.186_949e-2;
    let p = p * q - 5.396_825_4e-2;
    let p = p * q + 0.133_333_34;
    let p = p * q - 0.333_333_34;
    let series = x + x * (q * p);
    let far = if x < 0.0 { -quotient } else { quotient };
    if size < 0.3 { series } else { far }
}

#[cfg(test)]
mod tests {
    use super::tanh;

    #[test]
    fn tanh_is_near_everywhere() {
        let mut worst = 0.0f64;
        for i in -200_000..=200_000 {
            let x = i as f32 * 5e-5;
            let (got, want) = (f64::from(tanh(x)), libm::tanh(f64::from(x)));
            let ulp = want.abs().max(f64::from(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON);
            worst = worst.max((got - want).abs() / ulp);
        }
        assert!(worst < 3.0, "{worst}");
        assert_eq!([tanh(0.0), tanh(90.0), tanh(-90.0)], [0.0, 1.0, -1.0]);
        assert!(tanh(f32::NAN).is_nan());
    }
}
