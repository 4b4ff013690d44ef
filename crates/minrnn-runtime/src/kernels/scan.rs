//! The scan of a selective state space as one operation: decay, outer product, recurrence and readout of each state while it is in the first
//! cache. Every operation is rounded as the graph has it, in its order: the bits are those of the row operations one by one.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::math;
use super::reduce::{PARTS, folded};
use super::rows::{Rows, RowsMut};

/// Values of states that are computed together through all steps: half of a first-level cache.
const TILE: usize = 4096;

/// What states are multiplied by at each step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decay<'a> {
    /// `exp(s[d] rate[d, n])`.
    Rates {
        /// s, a row `[D]` a step.
        steps: Rows<'a>,
        /// `[D N]`
        rates: &'a [f32],
    },
    /// One value for neighbouring channels: a row `[heads]` a step.
    Heads(Rows<'a>),
}

/// D channels of N states, b and c shared by groups of channels:
/// `h[d, n] = h[d, n] a + x[d] b[g, n]`, `y[d] = sum_n h[d, n] c[g, n]`; rows are steps of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a> {
    pub(crate) decay: Decay<'a>,
    /// Multiplies the decays, a row of one value a step.
    pub(crate) keep: Option<Rows<'a>>,
    /// Rows `[D]`.
    pub(crate) x: Rows<'a>,
    /// Rows `[G N]`.
    pub(crate) b: Rows<'a>,
    /// Rows `[G N]`.
    pub(crate) c: Rows<'a>,
    /// N.
    pub(crate) states: usize,
}

impl<'a> Scan<'a> {
    /// Steps `from..from + count`.
    pub(crate) fn part(&self, from: usize, count: usize) -> Self {
        let cut = |rows: Rows<'a>| rows.part(from, count);
        Self {
            decay: match self.decay {
                Decay::Rates { steps, rates } => Decay::Rates {
                    steps: cut(steps),
                    rates,
                },
                Decay::Heads(a) => Decay::Heads(cut(a)),
            },
            keep: self.keep.map(cut),
            x: cut(self.x),
            b: cut(self.b),
            c: cut(self.c),
            states: self.states,
        }
    }

    fn check(&self, h: &[f32], out: &RowsMut<'_>) {
        let (rows, d, n) = (self.x.rows(), self.x.width(), self.states);
        let (decays, fits) = match self.decay {
            Decay::Rates { steps, rates } => (steps, steps.width() == d && rates.len() == h.len()),
            Decay::Heads(a) => (a, d.is_multiple_of(a.width())),
        };
        let wide = self.b.width();
        let shared = wide == self.c.width() && wide.is_multiple_of(n);
        let all = [self.b.rows(), self.c.rows(), decays.rows(), out.rows()];
        assert!(
            fits && shared
                && d.is_multiple_of(wide / n)
                && h.len() == d * n
                && out.width() == d
                && all == [rows; 4]
                && self.keep.is_none_or(|k| k.rows() == rows),
            "a scan"
        );
    }
}

/// One channel at one step: `s` is the step size where there are rates, else the decay.
#[derive(Clone, Copy)]
struct At<'r> {
    s: f32,
    keep: Option<f32>,
    x: f32,
    rates: &'r [f32],
    b: &'r [f32],
    c: &'r [f32],
}

/// The decay of some states.
#[inline(always)]
fn decay<S: Simd, const RATES: bool>(simd: S, at: &At<'_>, rates: S::f32s) -> S::f32s {
    let s = simd.splat_f32s(at.s);
    let a = match RATES {
        true => math::exp(simd, simd.mul_f32s(s, rates)),
        false => s,
    };
    match at.keep {
        Some(keep) => simd.mul_f32s(a, simd.splat_f32s(keep)),
        None => a,
    }
}

/// The next states of a channel, and their readout; V vectors hold the parts of the sum.
#[inline(always)]
fn channel<S: Simd, const V: usize, const RATES: bool>(simd: S, at: &At<'_>, h: &mut [f32]) -> f32 {
    let zero = simd.splat_f32s(0.0);
    let (h, h_tail) = S::as_mut_simd_f32s(h);
    let ((b, b_tail), (c, c_tail)) = (S::as_simd_f32s(at.b), S::as_simd_f32s(at.c));
    let (rates, rates_tail) = S::as_simd_f32s(at.rates);
    let x = simd.splat_f32s(at.x);
    let mut sums = [zero; V];
    let count = h.len();
    for i in 0..count {
        let a = decay::<S, RATES>(simd, at, if RATES { rates[i] } else { zero });
        h[i] = simd.add_f32s(simd.mul_f32s(h[i], a), simd.mul_f32s(x, b[i]));
        sums[i % V] = simd.add_f32s(sums[i % V], simd.mul_f32s(h[i], c[i]));
    }
    if !h_tail.is_empty() {
        let load = |v: &[f32]| simd.partial_load_f32s(v);
        let a = decay::<S, RATES>(simd, at, if RATES { load(rates_tail) } else { zero });
        let next = simd.add_f32s(
            simd.mul_f32s(load(h_tail), a),
            simd.mul_f32s(x, load(b_tail)),
        );
        simd.partial_store_f32s(h_tail, next);
        let read = simd.mul_f32s(load(h_tail), load(c_tail));
        sums[count % V] = simd.add_f32s(sums[count % V], read);
    }
    folded(simd, &sums)
}

struct Run<'a, 'b> {
    scan: &'a Scan<'a>,
    before: Option<&'a [f32]>,
    h: &'a mut [f32],
    out: &'a mut RowsMut<'b>,
}

impl Run<'_, '_> {
    #[inline(always)]
    fn all<S: Simd, const V: usize>(self, simd: S) {
        match self.scan.decay {
            Decay::Rates { steps, rates } => self.tiles::<S, V, true>(simd, steps, rates),
            Decay::Heads(a) => self.tiles::<S, V, false>(simd, a, &[]),
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const V: usize, const RATES: bool>(
        self,
        simd: S,
        steps: Rows<'_>,
        rates: &[f32],
    ) {
        let (scan, n) = (self.scan, self.scan.states);
        let channels = scan.x.width();
        let (of_head, of_group) = (channels / steps.width(), channels / (scan.b.width() / n));
        let tile = (TILE / n).max(1);
        let mut from = 0;
        while from < channels {
            let to = (from + tile).min(channels);
            if let Some(before) = self.before {
                self.h[from * n..to * n].copy_from_slice(&before[from * n..to * n]);
            }
            for t in 0..scan.x.rows() {
                let (s, x, b, c) = (steps.row(t), scan.x.row(t), scan.b.row(t), scan.c.row(t));
                let keep = scan.keep.map(|k| k.row(t)[0]);
                let out = self.out.row_mut(t);
                for d in from..to {
                    let group = d / of_group * n;
                    let at = At {
                        s: s[d / of_head],
                        keep,
                        x: x[d],
                        rates: if RATES { &rates[d * n..][..n] } else { &[] },
                        b: &b[group..][..n],
                        c: &c[group..][..n],
                    };
                    out[d] = channel::<S, V, RATES>(simd, &at, &mut self.h[d * n..][..n]);
                }
            }
            from = to;
        }
    }
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.all::<S, 1>(simd),
            8 => self.all::<S, 2>(simd),
            4 => self.all::<S, 4>(simd),
            _ => self.all::<S, PARTS>(simd),
        }
    }
}

/// One step for each row. h `[D N]` is the state before (where `before` has it, that) and, after, behind; out has rows `[D]`.
pub(crate) fn scan(
    cpu: Cpu,
    scan: &Scan<'_>,
    before: Option<&[f32]>,
    h: &mut [f32],
    mut out: RowsMut<'_>,
) {
    scan.check(h, &out);
    assert!(before.is_none_or(|b| b.len() == h.len()), "a scan");
    let out = &mut out;
    cpu.run(Run {
        scan,
        before,
        h,
        out,
    });
}
