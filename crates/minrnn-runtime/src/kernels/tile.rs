//! The innermost part of a product: a few rows by a few panels, sums in registers from the first k to the last.
#![allow(
    clippy::needless_range_loop,
    reason = "indices with constant bounds run over several arrays at once"
)]

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd, WithSimd};

use super::blocking::{At, Tiles};
use super::matrix::{Job, PANEL};

/// M rows by P panels of V vectors each.
struct Tile<'j, 'a, const M: usize, const P: usize, const V: usize> {
    job: &'j mut Job<'a>,
    row: usize,
    panel: usize,
}

impl<const M: usize, const P: usize, const V: usize> WithSimd for Tile<'_, '_, M, P, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const { assert!(S::F32_LANES * V == PANEL) };
        let Self { job, row, panel } = self;
        let k = job.x.width();
        let mut x: [&[f32]; M] = [&[]; M];
        for m in 0..M {
            x[m] = &job.x.row(row + m)[..k];
        }
        let mut w: [&[[S::f32s; V]]; P] = [&[]; P];
        for p in 0..P {
            let floats = &job.weights[(panel + p) * k * PANEL..][..k * PANEL];
            w[p] = &S::as_simd_f32s(floats).0.as_chunks::<V>().0[..k];
        }
        let mut sums = [[[simd.splat_f32s(0.0); V]; P]; M];
        for i in 0..k {
            for m in 0..M {
                let v = simd.splat_f32s(x[m][i]);
                for p in 0..P {
                    for j in 0..V {
                        sums[m][p][j] = simd.mul_add_f32s(v, w[p][i][j], sums[m][p][j]);
                    }
                }
            }
        }
        for p in 0..P {
            let column = (panel + p) * PANEL;
            let columns = (job.out.width() - column).min(PANEL);
            let bias = job.bias.map(|b| &b[column..][..columns]);
            for m in 0..M {
                let out = &mut job.out.row_mut(row + m)[column..][..columns];
                store(simd, sums[m][p], bias, out);
            }
        }
    }
}

/// out = sums + bias, as far as out reaches.
#[inline(always)]
fn store<S: Simd, const V: usize>(
    simd: S,
    sums: [S::f32s; V],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    if out.len() == V * S::F32_LANES {
        let out = S::as_mut_simd_f32s(out).0;
        match bias {
            Some(b) => {
                let b = S::as_simd_f32s(b).0;
                for j in 0..V {
                    out[j] = simd.add_f32s(sums[j], b[j]);
                }
            }
            None => out.copy_from_slice(&sums),
        }
        return;
    }
    for (j, out) in out.chunks_mut(S::F32_LANES).enumerate() {
        let mut v = sums[j];
        if let Some(b) = bias {
            let b = &b[j * S::F32_LANES..][..out.len()];
            v = simd.add_f32s(v, simd.partial_load_f32s(b));
        }
        simd.partial_store_f32s(out, v);
    }
}

/// Runs the tile that fits `$at`, in a function of its own so that its sums have all registers. `($m, $p)`: rows and
/// panels of the tiles there are; V vectors are a panel.
macro_rules! choose {
    ($simd:expr, $job:expr, $at:expr, $v:literal: $(($m:literal, $p:literal))*) => {
        match ($at.rows, $at.panels) {
            $(($m, $p) => Simd::vectorize($simd, Tile::<$m, $p, $v> {
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
        if rows == 1 {
            <V3 as Tiles<Job<'a>>>::panels(1)
        } else {
            4
        }
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'a>, at: At) {
        if at.rows == 1 {
            // Bound by reading the weights, which is faster in halves: 28 to 30 GB/s against 26 on Zen 4.
            return V3::tile(*self, job, at);
        }
        choose!(self, job, at, 1:
            (2, 1) (2, 2) (2, 3) (2, 4)
            (3, 1) (3, 2) (3, 3) (3, 4)
            (4, 1) (4, 2) (4, 3) (4, 4)
            (5, 1) (5, 2) (5, 3) (5, 4)
            (6, 1) (6, 2) (6, 3) (6, 4)
        );
    }
}

#[cfg(target_arch = "x86_64")]
impl<'a> Tiles<Job<'a>> for V3 {
    const ROWS: usize = 6;

    #[inline(always)]
    fn panels(rows: usize) -> usize {
        6 / rows.max(1)
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'a>, at: At) {
        choose!(self, job, at, 2:
            (1, 1) (1, 2) (1, 3) (1, 4) (1, 5) (1, 6)
            (2, 1) (2, 2) (2, 3)
            (3, 1) (3, 2)
            (4, 1)
            (5, 1)
            (6, 1)
        );
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
