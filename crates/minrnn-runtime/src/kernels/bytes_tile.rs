//! The innermost part of a product of bytes.
#![allow(
    clippy::needless_range_loop,
    reason = "indices with constant bounds run over several arrays at once"
)]

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{NullaryFnOnce, Scalar, Simd, bytemuck};

use super::blocking::{At, Tiles};
use super::rows::{Rows, RowsMut};

/// Columns of a panel.
pub(super) const PANEL: usize = 32;
/// Bytes of a panel for two k: one cache line.
pub(super) const LINE: usize = 2 * PANEL;
/// Pairs of k that are widened at a time.
const PAIRS: usize = 128;
/// Columns of the even bytes of a line.
const HALF: usize = PANEL / 2;

/// A product under way.
pub(super) struct Job<'a> {
    pub(super) x: Rows<'a, u8>,
    pub(super) x_zero: u8,
    /// All panels.
    pub(super) weights: &'a [u8],
    /// What is subtracted from each weight.
    pub(super) zero: u8,
    pub(super) out: RowsMut<'a, i32>,
}

/// Lanes of two 16-bit numbers each.
pub(super) trait Pairs: Simd {
    /// sum + a.0 * b.0 + a.1 * b.1 in each lane, modulo 2^32.
    fn add_products(self, sum: Self::i32s, a: Self::u32s, b: Self::u32s) -> Self::i32s;
}

#[cfg(target_arch = "x86_64")]
impl Pairs for V4 {
    #[inline(always)]
    fn add_products(self, sum: Self::i32s, a: Self::u32s, b: Self::u32s) -> Self::i32s {
        let (a, b) = (bytemuck::cast(a), bytemuck::cast(b));
        self.add_i32s(sum, self.multiply_wrapping_add_adjacent_i16x32(a, b))
    }
}

#[cfg(target_arch = "x86_64")]
impl Pairs for V3 {
    #[inline(always)]
    fn add_products(self, sum: Self::i32s, a: Self::u32s, b: Self::u32s) -> Self::i32s {
        let (a, b) = (bytemuck::cast(a), bytemuck::cast(b));
        self.add_i32s(sum, self.multiply_wrapping_add_adjacent_i16x16(a, b))
    }
}

impl Pairs for Scalar {
    #[inline(always)]
    fn add_products(self, sum: i32, a: u32, b: u32) -> i32 {
        let low = |v: u32| i32::from(v as u16 as i16);
        let high = |v: u32| i32::from((v >> 16) as u16 as i16);
        sum.wrapping_add(low(a) * low(b))
            .wrapping_add(high(a) * high(b))
    }
}

/// M rows by P panels; V vectors hold half of a panel's columns.
struct Tile<'j, 'a, S, const M: usize, const P: usize, const V: usize> {
    simd: S,
    job: &'j mut Job<'a>,
    row: usize,
    panel: usize,
}

impl<S: Pairs, const M: usize, const P: usize, const V: usize> NullaryFnOnce
    for Tile<'_, '_, S, M, P, V>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const { assert!(S::I32_LANES * V == HALF) };
        let Self {
            simd,
            job,
            row,
            panel,
        } = self;
        let k = job.x.width();
        let lines = k.div_ceil(2);
        let mut w: [&[[S::u32s; V]]; P] = [&[]; P];
        for p in 0..P {
            let bytes = &job.weights[(panel + p) * lines * LINE..][..lines * LINE];
            w[p] = vectors::<S, V>(bytes);
        }
        // Of each panel the columns of the even bytes, and those of the odd.
        let mut sums = [[[[simd.splat_i32s(0); V]; 2]; P]; M];
        let mut totals = [0; M];
        let mut x = [[0; PAIRS]; M];
        let mut start = 0;
        while start < lines {
            let count = PAIRS.min(lines - start);
            for m in 0..M {
                let bytes = &job.x.row(row + m)[2 * start..k.min(2 * (start + count))];
                totals[m] += widen(bytes, job.x_zero, &mut x[m]);
            }
            let mut now: [&[[S::u32s; V]]; P] = [&[]; P];
            for p in 0..P {
                now[p] = &w[p][start..][..count];
            }
            accumulate(simd, &x, now, count, &mut sums);
            start += count;
        }
        for p in 0..P {
            let column = (panel + p) * PANEL;
            let columns = (job.out.width() - column).min(PANEL);
            for m in 0..M {
                let taken = i32::from(job.zero).wrapping_mul(totals[m]);
                let out = &mut job.out.row_mut(row + m)[column..][..columns];
                store(simd, &sums[m][p], taken, out);
            }
        }
    }
}

/// The lines of a panel as vectors.
#[inline(always)]
fn vectors<S: Simd, const V: usize>(bytes: &[u8]) -> &[[S::u32s; V]] {
    bytemuck::cast_slice::<u8, S::u32s>(bytes)
        .as_chunks::<V>()
        .0
}

/// Bytes less zero as pairs of 16-bit numbers, the missing one of an odd end 0; returns their sum.
#[inline(always)]
fn widen(bytes: &[u8], zero: u8, pairs: &mut [u32; PAIRS]) -> i32 {
    let wide = |b: u8| i32::from(b) - i32::from(zero);
    let (whole, rest) = bytes.as_chunks::<2>();
    let mut sum = 0;
    for (pair, &[a, b]) in pairs.iter_mut().zip(whole) {
        let (a, b) = (wide(a), wide(b));
        sum += a + b;
        *pair = (a as u32 & 0xffff) | (b as u32) << 16;
    }
    if let (Some(pair), &[a]) = (pairs.get_mut(whole.len()), rest) {
        sum += wide(a);
        *pair = wide(a) as u32 & 0xffff;
    }
    sum
}

/// sums + the products of `count` pairs of k.
#[inline(always)]
fn accumulate<S: Pairs, const M: usize, const P: usize, const V: usize>(
    simd: S,
    x: &[[u32; PAIRS]; M],
    w: [&[[S::u32s; V]]; P],
    count: usize,
    sums: &mut [[[[S::i32s; V]; 2]; P]; M],
) {
    let low = simd.splat_u32s(0x00ff_00ff);
    let eight = simd.splat_u32s(8);
    let mut acc = *sums;
    for i in 0..count.min(PAIRS) {
        for p in 0..P {
            for v in 0..V {
                let line = w[p][i][v];
                let even = simd.and_u32s(line, low);
                let odd = simd.and_u32s(simd.wrapping_dyn_shr_u32s(line, eight), low);
                for m in 0..M {
                    let pair = simd.splat_u32s(x[m][i]);
                    acc[m][p][0][v] = simd.add_products(acc[m][p][0][v], even, pair);
                    acc[m][p][1][v] = simd.add_products(acc[m][p][1][v], odd, pair);
                }
            }
        }
    }
    *sums = acc;
}

/// out = sums - taken, as far as out reaches.
#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, sums: &[[S::i32s; V]; 2], taken: i32, out: &mut [i32]) {
    let taken = simd.splat_i32s(taken);
    let mut all = [0; PANEL];
    let (vectors, _) = S::as_mut_simd_i32s(&mut all);
    for (i, &sum) in sums.as_flattened().iter().enumerate() {
        vectors[i] = simd.sub_i32s(sum, taken);
    }
    match out.first_chunk_mut() {
        Some(out) => *out = all,
        None => out.copy_from_slice(&all[..out.len()]),
    }
}

/// Runs the tile that fits `$at`, in a function of its own so that its sums have all registers. `($m, $p)`: rows and
/// panels of the tiles there are; V vectors are half a panel.
macro_rules! choose {
    ($simd:expr, $job:expr, $at:expr, $v:literal: $(($m:literal, $p:literal))*) => {
        match ($at.rows, $at.panels) {
            $(($m, $p) => Simd::vectorize($simd, Tile::<_, $m, $p, $v> {
                simd: $simd,
                job: &mut *$job,
                row: $at.row,
                panel: $at.panel,
            }),)*
            (rows, panels) => unreachable!("a tile of {rows} rows and {panels} panels"),
        }
    };
}

#[cfg(target_arch = "x86_64")]
impl<'a> Tiles<Job<'a>> for V4 {
    const ROWS: usize = 6;

    #[inline(always)]
    fn panels(rows: usize) -> usize {
        if rows == 1 { 4 } else { 2 }
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'a>, at: At) {
        choose!(self, job, at, 1:
            (1, 1) (1, 2) (1, 3) (1, 4)
            (2, 1) (2, 2)
            (3, 1) (3, 2)
            (4, 1) (4, 2)
            (5, 1) (5, 2)
            (6, 1) (6, 2)
        );
    }
}

#[cfg(target_arch = "x86_64")]
impl<'a> Tiles<Job<'a>> for V3 {
    const ROWS: usize = 3;

    #[inline(always)]
    fn panels(rows: usize) -> usize {
        if rows == 1 { 3 } else { 1 }
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'a>, at: At) {
        choose!(self, job, at, 2: (1, 1) (1, 2) (1, 3) (2, 1) (3, 1));
    }
}

impl<'a> Tiles<Job<'a>> for Scalar {
    const ROWS: usize = 1;

    #[inline(always)]
    fn panels(_: usize) -> usize {
        1
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'a>, at: At) {
        choose!(self, job, at, 16: (1, 1));
    }
}
