//! f32 exponentials without branches, tables, integer conversions or fused multiply-adds:
//! every CPU gives the same bits, and the compiler can vectorise them at any width.

/// `ln 2` as a head of 9 bits (its product with an exponent is exact) and the rest.
const LN2_HEAD: f32 = 0.693_359_4;
const LN2_REST: f32 = -2.121_944_4e-4;

/// Adding it rounds to an integer, which then stands in the lowest bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// `e^x` is a normal number down to here.
const LOWEST: f32 = -87.336_54;

/// `e^x` for `x <= 0`. Within 2 ulp; 0 below [`LOWEST`]; NaN for NaN.
#[inline(always)]
pub(super) fn exp_neg(x: f32) -> f32 {
    let under = x < LOWEST;
    let x = if under { LOWEST } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN2_HEAD) - n * LN2_REST;
    // (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2: interpolated at Chebyshev nodes, error of e^r 1.1e-8.
    let q = 1.392_625e-3;
    let q = q * r + 8.363_233e-3;
    let q = q * r + 4.166_655_2e-2;
    let q = q * r + 0.166_665_77;
    let q = q * r + 0.5;
    let p = 1.0 + (r + r * r * q);
    // 2^n: n stands in the low bits of `rounded`, whose own low 9 bits are 0.
    let scale = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if under { 0.0 } else { p * scale }
}

/// `P(X > y)` of the standard normal distribution and `e^(-y^2/2)`, for `y >= 0`.
///
/// The tail is `e^(-y^2/2) * P(u) / (1 + 2s)` with `s = y / sqrt(2)`, `u = (s - K) / (s + K)`;
/// P interpolates `(1 + 2s) * erfc(s) * e^(s^2) / 2` at Chebyshev nodes, relative error 1e-8.
#[inline(always)]
pub(super) fn normal_tail(y: f32) -> (f32, f32) {
    const K: f32 = 2.6;
    let e = exp_neg(-0.5 * y * y);
    // Beyond 13.2 e is 0, and P is not meant for it.
    let y = if y > 13.2 { 13.2 } else { y };
    let s = y * std::f32::consts::FRAC_1_SQRT_2;
    let u = (s - K) / (s + K);
    let p = 2.725_526e-4;
    let p = p * u + 5.319_211e-4;
    let p = p * u - 2.097_445_8e-3;
    let p = p * u - 1.626_147_4e-3;
    let p = p * u + 2.047_482_5e-2;
    let p = p * u - 5.424_773_7e-2;
    let p = p * u + 7.649_194e-2;
    let p = p * u - 4.372_364_7e-2;
    let p = p * u - 6.300_643e-2;
    let p = p * u + 0.631_201_1;
    (e * (p / (1.0 + 2.0 * s)), e)
}

/// `ln(1 + x)` for x from 0 to 1: `2 artanh(s)` with `s = x / (2 + x)`, at most 1/3; the first term left out is below 2e-9 of it.
#[inline(always)]
pub(super) fn ln_1p_unit(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    let p = 1.0 / 17.0;
    let p = p * z + 1.0 / 15.0;
    let p = p * z + 1.0 / 13.0;
    let p = p * z + 1.0 / 11.0;
    let p = p * z + 1.0 / 9.0;
    let p = p * z + 1.0 / 7.0;
    let p = p * z + 1.0 / 5.0;
    let p = p * z + 1.0 / 3.0;
    let twice = s + s;
    twice + twice * z * p
}
