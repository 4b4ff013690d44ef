//! Transcendental functions: polynomials in fused steps, the same in every lane and on every machine.
//!
//! The coefficients are minimax fits for the relative error of the whole function, each rounded to f32 with the ones
//! after it fitted again; the error of each fit is below 0.08 * 2^-24. NaN gives NaN.

use pulp::Simd;

use super::lanes::{abs, at_least, at_most, polynomial, with_sign};

/// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
const MAGIC: f32 = 12_582_912.0;
/// ln 2 in two parts; the product of the first with an integer below 2^9 is exact.
const LN2: [f32; 2] = [0.693_145_75, 1.428_606_8e-6];

/// e^v as p * 2^n: p near 1, and MAGIC + n. For |v| below 2^21.
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, v: S::f32s) -> (S::f32s, S::f32s) {
    let magic = simd.splat_f32s(MAGIC);
    let shifted = simd.mul_add_f32s(v, simd.splat_f32s(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN2[0]), v);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN2[1]), r);
    // (e^r - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2].
    let q = polynomial(
        simd,
        r,
        [
            0.001_381_893_9,
            0.008_368_704,
            0.041_668_29,
            0.166_665_21,
            0.499_999_94,
        ],
    );
    let p = simd.mul_add_f32s(simd.mul_f32s(r, r), q, r);
    (simd.add_f32s(p, simd.splat_f32s(1.0)), shifted)
}

/// e^v where 2^n is a normal number: |v| at most 87.
#[inline(always)]
fn exp_within<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let (p, shifted) = exp_parts(simd, v);
    let n = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let scale = simd.add_u32s(n, simd.splat_u32s(0x3f80_0000));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(scale))
}

/// e^v: one rounding at the end also where the result is subnormal, infinity above, zero below.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    // Beyond these the result is infinity, and zero.
    let v = at_most(simd, at_least(simd, v, -104.0), 89.0);
    let (p, shifted) = exp_parts(simd, v);
    // 2^n in two factors, each a normal number: the product with the first is exact. 0x4b400000 are the bits of MAGIC.
    let n = simd.sub_u32s(
        simd.transmute_u32s_f32s(shifted),
        simd.splat_u32s(0x4b40_0000 - 254),
    );
    let first = simd.wrapping_dyn_shr_u32s(n, simd.splat_u32s(1));
    let second = simd.sub_u32s(n, first);
    simd.mul_f32s(simd.mul_f32s(p, power(simd, first)), power(simd, second))
}

/// 2^(biased - 127).
#[inline(always)]
fn power<S: Simd>(simd: S, biased: S::u32s) -> S::f32s {
    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(biased, simd.splat_u32s(23)))
}

/// ln(1 + f) + e ln 2, for 1 + f in [sqrt(1/2), sqrt(2)].
#[inline(always)]
fn log_core<S: Simd>(simd: S, f: S::f32s, e: S::f32s) -> S::f32s {
    // (ln(1 + f) - f + f^2 / 2) / f^3.
    let p = polynomial(
        simd,
        f,
        [
            0.067_492_716,
            -0.116_700_99,
            0.118_835_49,
            -0.124_062_34,
            0.142_203_58,
            -0.166_679_89,
            0.200_020_72,
            -0.250_000_1,
            0.333_333_13,
        ],
    );
    let square = simd.mul_f32s(f, f);
    let cube = simd.mul_f32s(square, f);
    let y = simd.mul_add_f32s(cube, p, simd.mul_f32s(e, simd.splat_f32s(LN2[1])));
    let y = simd.mul_add_f32s(square, simd.splat_f32s(-0.5), y);
    simd.mul_add_f32s(e, simd.splat_f32s(LN2[0]), simd.add_f32s(f, y))
}

/// The natural logarithm; -infinity at zero, NaN below.
#[inline(always)]
pub(super) fn log<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let small = simd.less_than_f32s(v, simd.splat_f32s(f32::MIN_POSITIVE));
    let normal = simd.select_f32s(small, simd.mul_f32s(v, simd.splat_f32s(8_388_608.0)), v);
    // v = 2^e (1 + f): 0x3f3504f3 are the bits of sqrt(1/2), where a new e begins.
    let bits = simd.transmute_u32s_f32s(normal);
    let bits = simd.add_u32s(bits, simd.splat_u32s(0x3f80_0000 - 0x3f35_04f3));
    let mantissa = simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff));
    let mantissa = simd.add_u32s(mantissa, simd.splat_u32s(0x3f35_04f3));
    let f = simd.sub_f32s(simd.transmute_f32s_u32s(mantissa), simd.splat_f32s(1.0));
    let exponent = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
    // With the exponent of 2^23 the integer is a float, less 2^23.
    let exponent = simd.or_u32s(exponent, simd.splat_u32s(0x4b00_0000));
    let bias = simd.select_f32s(
        small,
        simd.splat_f32s(8_388_608.0 + 150.0),
        simd.splat_f32s(8_388_608.0 + 127.0),
    );
    let e = simd.sub_f32s(simd.transmute_f32s_u32s(exponent), bias);
    let r = log_core(simd, f, e);
    let finite = simd.less_than_f32s(v, simd.splat_f32s(f32::INFINITY));
    let r = simd.select_f32s(finite, r, v);
    let r = simd.select_f32s(simd.less_than_f32s(v, zero), simd.splat_f32s(f32::NAN), r);
    let none = simd.equal_f32s(v, zero);
    simd.select_f32s(none, simd.splat_f32s(f32::NEG_INFINITY), r)
}

/// e^-|v|, the bits of `exp`: n is at most 0, so that one factor moved by 2^64 takes the place of two.
#[inline(always)]
fn decay<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let v = at_least(simd, simd.or_f32s(v, simd.splat_f32s(-0.0)), -104.0);
    let (p, shifted) = exp_parts(simd, v);
    let n = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let moved = simd.add_u32s(n, simd.splat_u32s((127 + 64) << 23));
    let near = simd.mul_f32s(p, simd.transmute_f32s_u32s(moved));
    // 2^-64.
    simd.mul_f32s(near, simd.splat_f32s(f32::from_bits((127 - 64) << 23)))
}

/// 1 / (1 + e^-v), where nothing cancels or overflows: closed gates close, as far as f32 reaches.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let z = decay(simd, v);
    let negative = simd.less_than_f32s(v, simd.splat_f32s(0.0));
    simd.div_f32s(simd.select_f32s(negative, z, one), simd.add_f32s(one, z))
}

/// ln(1 + e^v) as max(v, 0) + ln(1 + e^-|v|).
#[inline(always)]
pub(super) fn softplus<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let z = decay(simd, v);
    // 1 + z is in [1, 2]: above sqrt(2) as 2 (1 + f).
    let upper = simd.greater_than_f32s(z, simd.splat_f32s(std::f32::consts::SQRT_2 - 1.0));
    let half = simd.mul_f32s(simd.sub_f32s(z, one), simd.splat_f32s(0.5));
    let f = simd.select_f32s(upper, half, z);
    let e = simd.select_f32s(upper, one, zero);
    let positive = simd.select_f32s(simd.greater_than_f32s(v, zero), v, zero);
    simd.add_f32s(positive, log_core(simd, f, e))
}

/// The hyperbolic tangent: an odd polynomial about zero, 1 - 2 / (e^2|v| + 1) beyond.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let (one, two) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0));
    let size = abs(simd, v);
    let square = simd.mul_f32s(v, v);
    // (tanh(v) - v) / v^3 below 0.625.
    let p = polynomial(
        simd,
        square,
        [
            -0.005_692_296,
            0.020_628_167,
            -0.053_736_515,
            0.133_314_06,
            -0.333_332_8,
        ],
    );
    let near = simd.mul_add_f32s(simd.mul_f32s(square, p), size, size);
    // The result is 1 from 9.1 on.
    let e = exp_within(simd, simd.mul_f32s(two, at_most(simd, size, 10.0)));
    let far = simd.sub_f32s(one, simd.div_f32s(two, simd.add_f32s(e, one)));
    let small = simd.less_than_f32s(size, simd.splat_f32s(0.625));
    with_sign(simd, simd.select_f32s(small, near, far), v)
}

/// The error function: an odd polynomial about zero, 1 - e^h(|v|) beyond.
#[inline(always)]
pub(super) fn erf<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let size = abs(simd, v);
    // erf(v) / v - 1 below 0.9, in v^2.
    let p = polynomial(
        simd,
        simd.mul_f32s(v, v),
        [
            7.943_1e-5,
            -0.000_803_975_3,
            0.005_191_753,
            -0.026_855_56,
            0.112_836_24,
            -0.376_126_3,
            0.128_379_17,
        ],
    );
    let near = simd.mul_add_f32s(size, p, size);
    // -ln(1 - erf) from 0.9 to 3.95, where the result is 1.
    let h = polynomial(
        simd,
        at_most(simd, size, 3.95),
        [
            2.091_213_4e-5,
            -0.000_432_322_62,
            0.004_160_581,
            -0.025_091_559,
            0.108_236_63,
            0.633_386_7,
            1.129_495_1,
            -0.000_170_550_93,
        ],
    );
    let rest = exp_within(simd, simd.neg_f32s(h));
    let far = simd.sub_f32s(simd.splat_f32s(1.0), rest);
    let small = simd.less_than_f32s(size, simd.splat_f32s(0.9));
    with_sign(simd, simd.select_f32s(small, near, far), v)
}
