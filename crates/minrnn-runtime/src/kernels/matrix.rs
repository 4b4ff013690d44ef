//! Products of rows with a constant matrix.
//!
//! out[r, n] starts at +0 and takes fma(x[r, k], w[k, n], out[r, n]) for k = 0, 1, 2 and so on; then the bias, if any,
//! is added. This chain is never cut or reordered: columns and rows are what runs side by side.

use std::ops::Range;

use super::cpu::{Cpu, Level};
use super::rows::{Rows, RowsMut};
use super::tile::{At, Tiles};

/// Columns of a panel.
pub(super) const PANEL: usize = 32;
/// Rows of x that are kept near while all weights pass by: as many floats as fit in half of a small second-level cache.
const NEAR: usize = 1 << 16;

/// Weights [K, N], packed: panels of 32 columns, in each the columns of one k side by side. The last is padded with
/// zeros. The only copy that a product needs.
#[derive(Debug)]
pub(crate) struct Matrix {
    k: usize,
    n: usize,
    panels: Aligned,
}

/// Floats that begin on a cache line.
#[derive(Debug)]
struct Aligned {
    data: Vec<f32>,
    start: usize,
}

impl Aligned {
    const LINE: usize = 64;

    fn zeros(len: usize) -> Self {
        let slack = Self::LINE / size_of::<f32>();
        let data = vec![0.0; len + slack];
        // An allocator that cannot tell costs speed only.
        let start = data.as_ptr().align_offset(Self::LINE).min(slack);
        Self { data, start }
    }

    fn len(&self) -> usize {
        self.data.len() - Self::LINE / size_of::<f32>()
    }

    fn get(&self) -> &[f32] {
        &self.data[self.start..][..self.len()]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        let len = self.len();
        &mut self.data[self.start..][..len]
    }
}

/// A product under way.
pub(super) struct Job<'a> {
    pub(super) x: Rows<'a>,
    /// All panels.
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) out: RowsMut<'a>,
}

impl Matrix {
    /// Packs row-major weights [k, n].
    pub(crate) fn pack(k: usize, n: usize, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), k * n, "weights of [{k}, {n}]");
        let mut panels = Aligned::zeros(k * n.next_multiple_of(PANEL));
        let all = panels.get_mut();
        for (i, row) in weights.chunks_exact(n.max(1)).enumerate() {
            for (p, columns) in row.chunks(PANEL).enumerate() {
                all[(p * k + i) * PANEL..][..columns.len()].copy_from_slice(columns);
            }
        }
        Self { k, n, panels }
    }

    /// K: the width of an input row.
    pub(crate) fn inputs(&self) -> usize {
        self.k
    }

    /// N: the width of an output row.
    pub(crate) fn outputs(&self) -> usize {
        self.n
    }

    /// Memory of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.data.len() * size_of::<f32>()
    }

    /// out = x w + bias: x [R, K], bias [N], out [R, N].
    pub(crate) fn product(&self, cpu: Cpu, x: Rows<'_>, bias: Option<&[f32]>, out: RowsMut<'_>) {
        assert_eq!(x.width(), self.k, "width of the input");
        assert_eq!(out.width(), self.n, "width of the output");
        assert_eq!(x.rows(), out.rows(), "rows");
        if let Some(b) = bias {
            assert_eq!(b.len(), self.n, "width of the bias");
        }
        let mut job = Job {
            x,
            weights: self.panels.get(),
            bias,
            out,
        };
        match cpu.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => blocks(simd, &mut job),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => blocks(simd, &mut job),
            Level::Scalar => blocks(pulp::Scalar, &mut job),
        }
    }
}

/// Runs all tiles of a product. Panels are the outer loop, so that one passes by each block of rows while it is near;
/// blocks of rows are as equal as can be, since a small rest would leave registers idle.
fn blocks<T: Tiles>(tiles: T, job: &mut Job<'_>) {
    let (k, rows) = (job.x.width(), job.x.rows());
    let panels = job.out.width().div_ceil(PANEL);
    let near = (NEAR / k.max(1)).max(T::ROWS);
    for chunk in even(rows, near) {
        let tallest = chunk.len().div_ceil(chunk.len().div_ceil(T::ROWS));
        let mut panel = 0;
        while panel < panels {
            let wide = T::panels(tallest, panels - panel);
            for block in even(chunk.len(), T::ROWS) {
                let at = At {
                    row: chunk.start + block.start,
                    rows: block.len(),
                    panel,
                    panels: wide,
                };
                tiles.tile(job, at);
            }
            panel += wide;
        }
    }
}

/// 0..len in as few ranges as possible of at most `most`, equal but for one.
fn even(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most);
    (0..count).scan(0, move |start, i| {
        let size = (len - *start).div_ceil(count - i);
        let range = *start..*start + size;
        *start += size;
        Some(range)
    })
}
