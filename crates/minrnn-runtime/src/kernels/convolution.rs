//! Convolution along the steps, channel by channel: each value is the sum of its products in order, the oldest step's first, every
//! operation rounded: as a graph has it that writes each tap by itself.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::rows::{Rows, RowsMut};

/// Vectors of channels that are summed at once.
const VECTORS: usize = 4;

struct Sums<'a, 'b> {
    window: Rows<'a>,
    taps: Rows<'a>,
    out: &'a mut RowsMut<'b>,
}

impl WithSimd for Sums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for t in 0..self.out.rows() {
            let window = self.window.part(t, self.taps.rows());
            row(simd, &window, &self.taps, self.out.row_mut(t));
        }
    }
}

#[inline(always)]
fn row<S: Simd>(simd: S, window: &Rows<'_>, taps: &Rows<'_>, out: &mut [f32]) {
    let (whole, tail) = S::as_mut_simd_f32s(out);
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    for (at, out) in whole.chunks_mut(VECTORS).enumerate() {
        let from = at * VECTORS * lanes;
        let span = from..from + out.len() * lanes;
        let mut sums = [simd.splat_f32s(0.0); VECTORS];
        for j in 0..taps.rows() {
            let (x, _) = S::as_simd_f32s(&window.row(j)[span.clone()]);
            let (w, _) = S::as_simd_f32s(&taps.row(j)[span.clone()]);
            for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                *sum = simd.add_f32s(*sum, simd.mul_f32s(x, w));
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
    if tail.is_empty() {
        return;
    }
    let from = whole.len() * lanes;
    let mut sum = simd.splat_f32s(0.0);
    for j in 0..taps.rows() {
        let x = simd.partial_load_f32s(&window.row(j)[from..]);
        let w = simd.partial_load_f32s(&taps.row(j)[from..]);
        sum = simd.add_f32s(sum, simd.mul_f32s(x, w));
    }
    simd.partial_store_f32s(tail, sum);
}

/// `out[t] = sum_j taps[j] * window[t + j]`: taps `[n, D]`, the oldest step's first; window `[T + n - 1, D]`; out `[T, D]`.
pub(crate) fn convolution(cpu: Cpu, window: Rows<'_>, taps: Rows<'_>, mut out: RowsMut<'_>) {
    assert_eq!(window.rows() + 1, out.rows() + taps.rows(), "steps");
    assert_eq!([window.width(), taps.width()], [out.width(); 2], "channels");
    let out = &mut out;
    cpu.run(Sums { window, taps, out });
}
