//! The innermost part of a product: a few rows by a few panels, sums in registers from the first k to the last.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd, WithSimd};

use super::matrix::{Job, PANEL};

/// Where a tile lies: rows of x and out, panels of the weights.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) panel: usize,
    pub(super) panels: usize,
}

/// The tiles of one instruction set.
pub(super) trait Tiles: Copy {
    /// Most rows of a tile.
    const ROWS: usize;

    /// Panels of a tile of so many rows, where so many are left: enough sums to hide the latency of an addition.
    fn panels(rows: usize, left: usize) -> usize;

    /// Computes and stores a tile. `at` has at most `ROWS` rows, and panels by `panels` of its rows or more.
    fn tile(self, job: &mut Job<'_>, at: At);
}

/// M rows by P panels; of the PV vectors of a panel the V from FROM.
struct Tile<
    'j,
    'a,
    const M: usize,
    const P: usize,
    const V: usize,
    const PV: usize,
    const FROM: usize,
> {
    job: &'j mut Job<'a>,
    row: usize,
    panel: usize,
}

impl<const M: usize, const P: usize, const V: usize, const PV: usize, const FROM: usize> WithSimd
    for Tile<'_, '_, M, P, V, PV, FROM>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const { assert!(S::F32_LANES * PV == PANEL && FROM + V <= PV) };
        let Self { job, row, panel } = self;
        let k = job.x.width();
        let mut x: [&[f32]; M] = [&[]; M];
        for m in 0..M {
            x[m] = &job.x.row(row + m)[..k];
        }
        let mut w: [&[[S::f32s; PV]]; P] = [&[]; P];
        for p in 0..P {
            let floats = &job.weights[(panel + p) * k * PANEL..][..k * PANEL];
            w[p] = &S::as_simd_f32s(floats).0.as_chunks::<PV>().0[..k];
        }
        let mut sums = [[[simd.splat_f32s(0.0); V]; P]; M];
        for i in 0..k {
            for m in 0..M {
                let v = simd.splat_f32s(x[m][i]);
                for p in 0..P {
                    for j in 0..V {
                        sums[m][p][j] = simd.mul_add_f32s(v, w[p][i][FROM + j], sums[m][p][j]);
                    }
                }
            }
        }
        for p in 0..P {
            let column = (panel + p) * PANEL + FROM * S::F32_LANES;
            let columns = (job.out.width() - column).min(V * S::F32_LANES);
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

/// Runs one tile in a function of its own, so that its sums have all registers.
macro_rules! run {
    ($simd:expr, $job:expr, $at:expr, $m:literal, $p:literal, $v:literal, $pv:literal, $from:literal) => {{
        let At { row, panel, .. } = $at;
        Simd::vectorize(
            $simd,
            Tile::<$m, $p, $v, $pv, $from> {
                job: &mut *$job,
                row,
                panel,
            },
        )
    }};
}

#[cfg(target_arch = "x86_64")]
impl Tiles for V4 {
    const ROWS: usize = 12;

    #[inline(always)]
    fn panels(rows: usize, left: usize) -> usize {
        match (rows, left) {
            (1 | 2, 4..) => 4,
            (1..=6, 2..) => 2,
            _ => 1,
        }
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'_>, at: At) {
        macro_rules! tile {
            ($m:literal, $p:literal) => {
                run!(self, job, at, $m, $p, 2, 2, 0)
            };
        }
        match (at.rows, at.panels) {
            (1, 4) => tile!(1, 4),
            (1, 2) => tile!(1, 2),
            (1, _) => tile!(1, 1),
            (2, 4) => tile!(2, 4),
            (2, 2) => tile!(2, 2),
            (2, _) => tile!(2, 1),
            (3, 2) => tile!(3, 2),
            (3, _) => tile!(3, 1),
            (4, 2) => tile!(4, 2),
            (4, _) => tile!(4, 1),
            (5, 2) => tile!(5, 2),
            (5, _) => tile!(5, 1),
            (6, 2) => tile!(6, 2),
            (6, _) => tile!(6, 1),
            (7, _) => tile!(7, 1),
            (8, _) => tile!(8, 1),
            (9, _) => tile!(9, 1),
            (10, _) => tile!(10, 1),
            (11, _) => tile!(11, 1),
            _ => tile!(12, 1),
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Tiles for V3 {
    const ROWS: usize = 6;

    #[inline(always)]
    fn panels(rows: usize, left: usize) -> usize {
        if rows == 1 && left > 1 { 2 } else { 1 }
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'_>, at: At) {
        /// Both halves of a panel; the second only where there are columns in it.
        macro_rules! halves {
            ($m:literal) => {{
                run!(self, job, at, $m, 1, 2, 4, 0);
                if job.out.width() > at.panel * PANEL + PANEL / 2 {
                    run!(self, job, at, $m, 1, 2, 4, 2);
                }
            }};
        }
        match (at.rows, at.panels) {
            (1, 2) => run!(self, job, at, 1, 2, 4, 4, 0),
            (1, _) => run!(self, job, at, 1, 1, 4, 4, 0),
            (2, _) => run!(self, job, at, 2, 1, 4, 4, 0),
            (3, _) => run!(self, job, at, 3, 1, 4, 4, 0),
            (4, _) => halves!(4),
            (5, _) => halves!(5),
            _ => halves!(6),
        }
    }
}

impl Tiles for Scalar {
    const ROWS: usize = 1;

    #[inline(always)]
    fn panels(_: usize, _: usize) -> usize {
        1
    }

    #[inline(always)]
    fn tile(self, job: &mut Job<'_>, at: At) {
        run!(self, job, at, 1, 1, 32, 32, 0);
    }
}
