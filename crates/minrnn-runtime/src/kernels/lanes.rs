//! Steps that all kernels share, on vectors of any width.

use pulp::Simd;

/// A function of one value, the same in every lane.
pub(super) trait Lanewise: Copy {
    /// The function on all lanes of `v`.
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s;
}

/// A function of two values, the same in every lane.
pub(super) trait Lanewise2: Copy {
    /// The function on all lanes of `a` and `b`.
    fn apply<S: Simd>(self, simd: S, a: S::f32s, b: S::f32s) -> S::f32s;
}

/// out = f(x); both of one length.
#[inline(always)]
pub(super) fn map<S: Simd, F: Lanewise>(simd: S, f: F, x: &[f32], out: &mut [f32]) {
    let (x, x_tail) = S::as_simd_f32s(x);
    let (out, out_tail) = S::as_mut_simd_f32s(out);
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f.apply(simd, x);
    }
    if !x_tail.is_empty() {
        simd.partial_store_f32s(out_tail, f.apply(simd, simd.partial_load_f32s(x_tail)));
    }
}

/// out = f(out).
#[inline(always)]
pub(super) fn map_in_place<S: Simd, F: Lanewise>(simd: S, f: F, out: &mut [f32]) {
    let (out, tail) = S::as_mut_simd_f32s(out);
    for out in out {
        *out = f.apply(simd, *out);
    }
    if !tail.is_empty() {
        let v = f.apply(simd, simd.partial_load_f32s(tail));
        simd.partial_store_f32s(tail, v);
    }
}

/// out = f(a, b); all of one length.
#[inline(always)]
pub(super) fn map2<S: Simd, F: Lanewise2>(simd: S, f: F, a: &[f32], b: &[f32], out: &mut [f32]) {
    let ((a, a_tail), (b, b_tail)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let (out, out_tail) = S::as_mut_simd_f32s(out);
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f.apply(simd, a, b);
    }
    if !a_tail.is_empty() {
        let (a, b) = (
            simd.partial_load_f32s(a_tail),
            simd.partial_load_f32s(b_tail),
        );
        simd.partial_store_f32s(out_tail, f.apply(simd, a, b));
    }
}

#[inline(always)]
pub(super) fn abs<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    bits_and(simd, v, 0x7fff_ffff)
}

/// The sign bit alone.
#[inline(always)]
pub(super) fn sign_bit<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    bits_and(simd, v, 0x8000_0000)
}

#[inline(always)]
fn bits_and<S: Simd>(simd: S, v: S::f32s, mask: u32) -> S::f32s {
    let bits = simd.transmute_u32s_f32s(v);
    simd.transmute_f32s_u32s(simd.and_u32s(bits, simd.splat_u32s(mask)))
}

/// `magnitude`, which has no sign, with the sign of `sign`.
#[inline(always)]
pub(super) fn with_sign<S: Simd>(simd: S, magnitude: S::f32s, sign: S::f32s) -> S::f32s {
    simd.or_f32s(magnitude, sign_bit(simd, sign))
}

/// The smaller of `v` and `limit`; NaN stays.
#[inline(always)]
pub(super) fn at_most<S: Simd>(simd: S, v: S::f32s, limit: f32) -> S::f32s {
    let limit = simd.splat_f32s(limit);
    simd.select_f32s(simd.greater_than_f32s(v, limit), limit, v)
}

/// The larger of `v` and `limit`; NaN stays.
#[inline(always)]
pub(super) fn at_least<S: Simd>(simd: S, v: S::f32s, limit: f32) -> S::f32s {
    let limit = simd.splat_f32s(limit);
    simd.select_f32s(simd.less_than_f32s(v, limit), limit, v)
}

/// The nearest integer, ties to even. Below 2^23 the addition leaves no fraction; at and above there is none.
#[inline(always)]
pub(super) fn round<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let limit = simd.splat_f32s(8_388_608.0);
    let size = abs(simd, v);
    let rounded = simd.sub_f32s(simd.add_f32s(size, limit), limit);
    simd.select_f32s(
        simd.less_than_f32s(size, limit),
        with_sign(simd, rounded, v),
        v,
    )
}

/// The polynomial with these coefficients, the constant last, by fused steps.
#[inline(always)]
pub(super) fn polynomial<S: Simd, const N: usize>(
    simd: S,
    v: S::f32s,
    coefficients: [f32; N],
) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for c in &coefficients[1..] {
        sum = simd.mul_add_f32s(sum, v, simd.splat_f32s(*c));
    }
    sum
}
