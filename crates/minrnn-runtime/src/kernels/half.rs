//! Rounding to 16 bits.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::lanes::{Lanewise, abs, map, with_sign};

#[derive(Clone, Copy)]
struct ToF16;

impl Lanewise for ToF16 {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s {
        let size = abs(simd, v);
        // Normal halves keep 10 of the 23 bits: add half of the last one kept, less one if that is even, and cut.
        let bits = simd.transmute_u32s_f32s(size);
        let odd = simd.and_u32s(
            simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(13)),
            simd.splat_u32s(1),
        );
        let up = simd.add_u32s(bits, simd.add_u32s(odd, simd.splat_u32s(0xfff)));
        let cut = simd.and_u32s(up, simd.splat_u32s(!0x1fff));
        let normal = simd.transmute_f32s_u32s(cut);
        let over = simd.greater_than_f32s(normal, simd.splat_f32s(65504.0));
        let normal = simd.select_f32s(over, simd.splat_f32s(f32::INFINITY), normal);
        // Subnormal halves are multiples of 2^-24, the last bit of a number in [0.5, 1).
        let half = simd.splat_f32s(0.5);
        let subnormal = simd.sub_f32s(simd.add_f32s(size, half), half);
        let small = simd.less_than_f32s(size, simd.splat_f32s(6.103_515_6e-5));
        let r = with_sign(simd, simd.select_f32s(small, subnormal, normal), v);
        simd.select_f32s(simd.equal_f32s(v, v), r, v)
    }
}

struct Round<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        map(simd, ToF16, self.x, self.out);
    }
}

/// out = x rounded to IEEE binary16 and widened again: ties to even, infinity from 65520 on. Both of one length.
pub(crate) fn round_to_f16(cpu: Cpu, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "rounding");
    cpu.run(Round { x, out });
}
