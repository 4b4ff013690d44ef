//! Sums and extrema of one row.
//!
//! Always 16 partial results: number i takes the elements i, i + 16, i + 32 and so on, in this order; then partial
//! result i takes that of i + 8, then i + 4, i + 2, i + 1. How many fit into one register does not matter.

use pulp::{Simd, WithSimd};

use super::binary::{Add, Max, Min};
use super::cpu::Cpu;
use super::lanes::Lanewise2;

/// Partial results of a reduction.
pub(super) const PARTS: usize = 16;

struct Reduce<'a, F> {
    f: F,
    /// Changes nothing.
    neutral: f32,
    x: &'a [f32],
}

impl<F: Lanewise2> Reduce<'_, F> {
    /// V registers hold the parts.
    #[inline(always)]
    fn parts<S: Simd, const V: usize>(&self, simd: S) -> [f32; PARTS] {
        let mut acc = [simd.splat_f32s(self.neutral); V];
        let (blocks, tail) = self.x.as_chunks::<PARTS>();
        let mut last = [self.neutral; PARTS];
        last[..tail.len()].copy_from_slice(tail);
        let padded = if tail.is_empty() {
            &[]
        } else {
            std::slice::from_ref(&last)
        };
        for block in blocks.iter().chain(padded) {
            let (v, _) = S::as_simd_f32s(block);
            for i in 0..V {
                acc[i] = self.f.apply(simd, acc[i], v[i]);
            }
        }
        parts(simd, &acc)
    }
}

/// What V registers hold.
#[inline(always)]
fn parts<S: Simd, const V: usize>(_: S, acc: &[S::f32s; V]) -> [f32; PARTS] {
    let mut parts = [0.0; PARTS];
    let (stored, _) = S::as_mut_simd_f32s(&mut parts);
    stored.copy_from_slice(acc);
    parts
}

/// The partial results as one.
#[inline(always)]
fn fold<F: Lanewise2>(f: F, mut parts: [f32; PARTS]) -> f32 {
    let one = pulp::Scalar;
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            parts[i] = f.apply(one, parts[i], parts[i + half]);
        }
    }
    parts[0]
}

/// The sum of partial sums that V registers hold.
#[inline(always)]
pub(super) fn folded<S: Simd, const V: usize>(simd: S, sums: &[S::f32s; V]) -> f32 {
    fold(Add, parts(simd, sums))
}

impl<F: Lanewise2> WithSimd for Reduce<'_, F> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let parts = match S::F32_LANES {
            16 => self.parts::<S, 1>(simd),
            8 => self.parts::<S, 2>(simd),
            4 => self.parts::<S, 4>(simd),
            _ => self.parts::<S, PARTS>(simd),
        };
        fold(self.f, parts)
    }
}

/// A function of a row: the ONNX operator of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Sum,
    /// The sum, divided by the number of values.
    Mean,
    Max,
    Min,
}

pub(crate) fn reduce(cpu: Cpu, op: Reduction, x: &[f32]) -> f32 {
    match op {
        Reduction::Sum => sum(cpu, x),
        Reduction::Mean => sum(cpu, x) / x.len() as f32,
        Reduction::Max => max(cpu, x),
        Reduction::Min => min(cpu, x),
    }
}

/// The sum; +0 of no elements.
pub(crate) fn sum(cpu: Cpu, x: &[f32]) -> f32 {
    cpu.run(Reduce {
        f: Add,
        neutral: 0.0,
        x,
    })
}

/// The largest element; NaN if one is, -infinity of no elements.
pub(crate) fn max(cpu: Cpu, x: &[f32]) -> f32 {
    cpu.run(Reduce {
        f: Max,
        neutral: f32::NEG_INFINITY,
        x,
    })
}

/// The smallest element; NaN if one is, infinity of no elements.
pub(crate) fn min(cpu: Cpu, x: &[f32]) -> f32 {
    cpu.run(Reduce {
        f: Min,
        neutral: f32::INFINITY,
        x,
    })
}
