//! The innermost part of a product: a few rows by one panel, sums in registers from the first step of a chain to the last.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd, WithSimd};

/// Where a tile reads and writes.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// `[depth, width]`.
    pub(super) panel: &'a [f32],
    /// Steps.
    pub(super) depth: usize,
    /// Elements of a row of the result.
    pub(super) stride: usize,
    /// Columns of the result, at most the panel's width.
    pub(super) columns: usize,
    pub(super) bias: Option<&'a [f32]>,
    /// Whether the sums are added to what is there.
    pub(super) add: bool,
}

/// Runs `$body` for each literal below `$end`, as a constant: loops would leave the sums in memory.
macro_rules! each {
    ($m:ident below $end:ident $body:block) => {
        each!($m of 0 1 2 3 4 5 6 7 8 9 10 11; below $end $body);
    };
    ($m:ident of $($at:literal)*; below $end:ident $body:block) => {
        $(if $at < $end {
            #[allow(non_upper_case_globals, reason = "a variable in the body's eyes")]
            const $m: usize = $at;
            $body
        })*
    };
}

/// M rows by V vectors. `PACKED`: `a` is `[depth, M]`, else M rows, `a_stride` apart.
struct Tile<'a, const M: usize, const V: usize, const PACKED: bool> {
    a: &'a [f32],
    a_stride: usize,
    at: At<'a>,
    c: &'a mut [f32],
}

impl<const M: usize, const V: usize, const PACKED: bool> WithSimd for Tile<'_, M, V, PACKED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            a,
            a_stride,
            at,
            c: out,
        } = self;
        let k = at.depth;
        let b = &S::as_simd_f32s(at.panel).0.as_chunks::<V>().0[..k];
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        if PACKED {
            for (a, w) in a.as_chunks::<M>().0[..k].iter().zip(b) {
                each!(m below M {
                    let v = simd.splat_f32s(a[m]);
                    for j in 0..V {
                        sums[m][j] = simd.mul_add_e_f32s(v, w[j], sums[m][j]);
                    }
                });
            }
        } else {
            let mut rows: [&[f32]; M] = [&[]; M];
            for (m, row) in rows.iter_mut().enumerate() {
                *row = &a[m * a_stride..][..k];
            }
            #[allow(clippy::needless_range_loop, reason = "one index of M rows")]
            for i in 0..k {
                let w = b[i];
                each!(m below M {
                    let v = simd.splat_f32s(rows[m][i]);
                    for j in 0..V {
                        sums[m][j] = simd.mul_add_e_f32s(v, w[j], sums[m][j]);
                    }
                });
            }
        }
        each!(m below M {
            let c = &mut out[m * at.stride..][..at.columns];
            store(simd, sums[m], at, c);
        });
    }
}

/// `c = sums + bias` or `c += sums`, as far as c reaches.
#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, sums: [S::f32s; V], at: At<'_>, c: &mut [f32]) {
    if c.len() == V * S::F32_LANES {
        let c = S::as_mut_simd_f32s(c).0;
        if at.add {
            for j in 0..V {
                c[j] = simd.add_f32s(c[j], sums[j]);
            }
        } else if let Some(bias) = at.bias {
            let bias = S::as_simd_f32s(bias).0;
            for j in 0..V {
                c[j] = simd.add_f32s(sums[j], bias[j]);
            }
        } else {
            c.copy_from_slice(&sums);
        }
        return;
    }
    let (mut rest, mut bias) = (c, at.bias.unwrap_or(&[]));
    for mut sum in sums {
        let lanes = rest.len().min(S::F32_LANES);
        let (c, behind) = rest.split_at_mut(lanes);
        rest = behind;
        if at.add {
            sum = simd.add_f32s(simd.partial_load_f32s(c), sum);
        } else if at.bias.is_some() {
            let (own, behind) = bias.split_at(lanes);
            bias = behind;
            sum = simd.add_f32s(sum, simd.partial_load_f32s(own));
        }
        simd.partial_store_f32s(c, sum);
    }
}

/// A CPU's tiles.
pub(super) trait Tiles: Simd {
    /// Rows of the largest.
    const ROWS: usize;
    /// Columns of a panel.
    const WIDTH: usize;

    /// A tile of rows of `a` that lie `stride` apart.
    fn rows(self, rows: usize, a: &[f32], stride: usize, at: At<'_>, c: &mut [f32]);

    /// A tile of packed rows.
    fn packed(self, rows: usize, a: &[f32], at: At<'_>, c: &mut [f32]);
}

/// The tiles of `$simd` of V vectors: of 1 row, 2 rows and so on, each in a function of its own so that its sums have all
/// registers.
macro_rules! tiles {
    ($simd:ty, $v:literal vectors: $($m:literal)*) => {
        impl Tiles for $simd {
            const ROWS: usize = { let mut most = 0; $(if most < $m { most = $m; })* most };
            const WIDTH: usize = $v * <$simd as Simd>::F32_LANES;

            #[inline(always)]
            fn rows(self, rows: usize, a: &[f32], a_stride: usize, at: At<'_>, c: &mut [f32]) {
                match rows {
                    $($m => Simd::vectorize(self, Tile::<$m, $v, false> { a, a_stride, at, c }),)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            }

            #[inline(always)]
            fn packed(self, rows: usize, a: &[f32], at: At<'_>, c: &mut [f32]) {
                match rows {
                    $($m => Simd::vectorize(self, Tile::<$m, $v, true> { a, a_stride: 0, at, c }),)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
tiles!(V4, 2 vectors: 1 2 3 4 5 6 7 8 9 10 11 12);
#[cfg(target_arch = "x86_64")]
tiles!(V3, 2 vectors: 1 2 3 4 5 6);
tiles!(Scalar, 16 vectors: 1 2 3 4);
