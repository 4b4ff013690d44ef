//! The recurrences of the models, every operation rounded, as the step graph has it: h = a * h + b, the same of complex numbers, and
//! h = max(h, b).

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::rows::{Rows, RowsMut};
use super::{Binary, Operand, binary};

#[inline(always)]
fn step<S: Simd>(simd: S, h: &mut [f32], a: &[f32], b: &[f32], out: &mut [f32]) {
    let (h, h_tail) = S::as_mut_simd_f32s(h);
    let ((a, a_tail), (b, b_tail)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let (out, out_tail) = S::as_mut_simd_f32s(out);
    for (((h, &a), &b), out) in h.iter_mut().zip(a).zip(b).zip(out) {
        *h = simd.add_f32s(simd.mul_f32s(*h, a), b);
        *out = *h;
    }
    if !h_tail.is_empty() {
        let (a, b) = (
            simd.partial_load_f32s(a_tail),
            simd.partial_load_f32s(b_tail),
        );
        let v = simd.mul_f32s(simd.partial_load_f32s(h_tail), a);
        let v = simd.add_f32s(v, b);
        simd.partial_store_f32s(h_tail, v);
        simd.partial_store_f32s(out_tail, v);
    }
}

struct Steps<'a, 'b> {
    h: &'a mut [f32],
    a: Rows<'a>,
    b: Rows<'a>,
    out: &'a mut RowsMut<'b>,
}

impl WithSimd for Steps<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for t in 0..self.a.rows() {
            step(
                simd,
                self.h,
                self.a.row(t),
                self.b.row(t),
                self.out.row_mut(t),
            );
        }
    }
}

/// One step for each row of a and b: rows are times of one stream. h [D] is the state before and, after, behind.
pub(crate) fn recurrence(cpu: Cpu, h: &mut [f32], a: Rows<'_>, b: Rows<'_>, mut out: RowsMut<'_>) {
    let shapes = [
        (a.rows(), a.width()),
        (b.rows(), b.width()),
        (out.rows(), out.width()),
    ];
    assert_eq!(shapes, [(a.rows(), h.len()); 3], "a recurrence");
    let out = &mut out;
    cpu.run(Steps { h, a, b, out });
}

/// `h = max(h, b)`, or `max(h + a, b)`, as [`recurrence`] goes: `-min(-h, -b)`, as the step graph has it.
pub(crate) fn largest(
    cpu: Cpu,
    h: &mut [f32],
    a: Option<Rows<'_>>,
    b: Rows<'_>,
    mut out: RowsMut<'_>,
) {
    let mut other = vec![0.0; h.len()];
    h.iter_mut().for_each(|v| *v = -*v);
    for t in 0..b.rows() {
        let to = out.row_mut(t);
        if let Some(a) = &a {
            binary(
                cpu,
                Binary::Sub,
                Operand::Slice(h),
                Operand::Slice(a.row(t)),
                to,
            );
            h.copy_from_slice(to);
        }
        other.iter_mut().zip(b.row(t)).for_each(|(o, b)| *o = -b);
        binary(
            cpu,
            Binary::Min,
            Operand::Slice(h),
            Operand::Slice(&other),
            to,
        );
        h.copy_from_slice(to);
        to.iter_mut().for_each(|v| *v = -*v);
    }
    h.iter_mut().for_each(|v| *v = -*v);
}

/// `h = a * h + b` of complex numbers, rows being `[re | im]`, as [`recurrence`] goes.
pub(crate) fn complex(h: &mut [f32], a: Rows<'_>, b: Rows<'_>, mut out: RowsMut<'_>) {
    let n = h.len() / 2;
    for t in 0..a.rows() {
        let ((ar, ai), (br, bi)) = (a.row(t).split_at(n), b.row(t).split_at(n));
        let (re, im) = out.row_mut(t).split_at_mut(n);
        let (hr, hi) = h.split_at(n);
        for c in 0..n {
            re[c] = hr[c] * ar[c] - hi[c] * ai[c] + br[c];
            im[c] = hr[c] * ai[c] + hi[c] * ar[c] + bi[c];
        }
        h.copy_from_slice(out.row_mut(t));
    }
}
