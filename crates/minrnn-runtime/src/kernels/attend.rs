//! Attention of one step over the rows that it sees, oldest first, head by head. A score is a chain of fused multiply-adds over the channels,
//! from the first; weights are added up, and rows weighted, from the oldest row to this one: by their distance from the step, wherever
//! it stands in a call. Rows that are not seen are not touched.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::lanes::{Lanewise, map_in_place};
use super::math;
use super::rows::Rows;

/// Rows whose scores are computed together.
const TOGETHER: usize = 8;

/// What a step reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attend<'a> {
    /// `[D]`, with the factor of scores.
    pub(crate) q: &'a [f32],
    /// Rows `[k | v]` before those of the call, oldest first, one behind the other.
    pub(crate) past: &'a [f32],
    /// Rows `[k | v]` of the call up to this step.
    pub(crate) present: Rows<'a>,
    /// Steps since the begin, with this one.
    pub(crate) n: f32,
    /// Their number divides D.
    pub(crate) heads: usize,
}

impl<'a> Attend<'a> {
    /// The rows that are seen, oldest first, in two runs.
    fn seen(&self) -> [Rows<'a>; 2] {
        let width = self.present.width();
        let lag = self.past.len() / width;
        let count = (self.n as usize).clamp(1, lag + 1);
        let present = count.min(self.present.rows());
        let past = count - present;
        let from = &self.past[(lag - past) * width..];
        [
            Rows::new(from, past, width, width),
            self.present.part(self.present.rows() - present, present),
        ]
    }
}

/// `e^(v - most)`
#[derive(Clone, Copy)]
struct Weight {
    most: f32,
}

impl Lanewise for Weight {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s {
        math::exp(simd, simd.sub_f32s(v, simd.splat_f32s(self.most)))
    }
}

/// `v / sum`
#[derive(Clone, Copy)]
struct Share {
    sum: f32,
}

impl Lanewise for Share {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s {
        simd.div_f32s(v, simd.splat_f32s(self.sum))
    }
}

struct Run<'a, 'b> {
    seen: [Rows<'a>; 2],
    q: &'a [f32],
    heads: usize,
    weights: &'b mut [f32],
    out: &'b mut [f32],
}

impl Run<'_, '_> {
    /// Scores of a head, whose channels are `from..from + p`.
    #[inline(always)]
    fn scores<S: Simd>(&mut self, simd: S, from: usize, p: usize) {
        let q = &self.q[from..from + p];
        let mut at = 0;
        for rows in &self.seen {
            let mut r = 0;
            while r < rows.rows() {
                let count = TOGETHER.min(rows.rows() - r);
                // Beyond the last row it once more.
                let keys: [&[f32]; TOGETHER] =
                    std::array::from_fn(|i| &rows.row(r + i.min(count - 1))[from..][..p]);
                let mut sums = [0.0f32; TOGETHER];
                for c in 0..p {
                    for i in 0..TOGETHER {
                        sums[i] = fused(simd, q[c], keys[i][c], sums[i]);
                    }
                }
                self.weights[at..at + count].copy_from_slice(&sums[..count]);
                (at, r) = (at + count, r + count);
            }
        }
    }

    #[inline(always)]
    fn head<S: Simd>(&mut self, simd: S, from: usize, p: usize) {
        self.scores(simd, from, p);
        let most =
            self.weights.iter().fold(
                f32::NEG_INFINITY,
                |a, b| {
                    if *b > a || b.is_nan() { *b } else { a }
                },
            );
        map_in_place(simd, Weight { most }, self.weights);
        let sum = self.weights.iter().fold(0.0f32, |sum, w| sum + w);
        map_in_place(simd, Share { sum }, self.weights);
        let d = self.q.len();
        let out = &mut self.out[from..from + p];
        out.fill(0.0);
        let mut at = 0;
        for rows in &self.seen {
            for r in 0..rows.rows() {
                add(simd, self.weights[at], &rows.row(r)[d + from..][..p], out);
                at += 1;
            }
        }
    }
}

/// `a b + c`, rounded once.
#[inline(always)]
fn fused<S: Simd>(_: S, a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// `out = w v + out`, rounded once.
#[inline(always)]
fn add<S: Simd>(simd: S, w: f32, v: &[f32], out: &mut [f32]) {
    let ((v, v_tail), (out, out_tail)) = (S::as_simd_f32s(v), S::as_mut_simd_f32s(out));
    let w = simd.splat_f32s(w);
    for (out, v) in out.iter_mut().zip(v) {
        *out = simd.mul_add_f32s(w, *v, *out);
    }
    if !v_tail.is_empty() {
        let (v, sum) = (
            simd.partial_load_f32s(v_tail),
            simd.partial_load_f32s(out_tail),
        );
        simd.partial_store_f32s(out_tail, simd.mul_add_f32s(w, v, sum));
    }
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let p = self.q.len() / self.heads;
        for head in 0..self.heads {
            self.head(simd, head * p, p);
        }
    }
}

/// `out [D]`; `scratch`: a number for each row of the past, and one.
pub(crate) fn attend(cpu: Cpu, x: &Attend<'_>, scratch: &mut [f32], out: &mut [f32]) {
    let (d, width) = (x.q.len(), x.present.width());
    assert!(
        width == 2 * d
            && x.past.len().is_multiple_of(width)
            && x.present.rows() > 0
            && d.is_multiple_of(x.heads)
            && out.len() == d
            && scratch.len() == x.past.len() / width + 1,
        "an attention"
    );
    let seen = x.seen();
    let count = seen[0].rows() + seen[1].rows();
    cpu.run(Run {
        seen,
        q: x.q,
        heads: x.heads,
        weights: &mut scratch[..count],
        out,
    });
}
