//! Products of rows with a constant matrix.
//!
//! out[r, n] starts at +0 and takes fma(x[r, k], w[k, n], out[r, n]) for k = 0, 1, 2 and so on; then the bias, if any,
//! is added. This chain is never cut or reordered: columns and rows are what runs side by side.

use super::aligned::Aligned;
use super::blocking::{Shape, blocks};
use super::cpu::{Cpu, Level};
use super::rows::{Rows, RowsMut};

/// Columns of a panel.
pub(super) const PANEL: usize = 16;

/// Weights [K, N], packed: panels of 16 columns, in each the columns of one k side by side. The last is padded with
/// zeros. The only copy that a product needs.
#[derive(Debug)]
pub(crate) struct Matrix {
    k: usize,
    n: usize,
    panels: Aligned<f32>,
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
        let mut panels = Aligned::new(k * n.next_multiple_of(PANEL), 0.0);
        let all = panels.get_mut();
        for (i, row) in weights.chunks_exact(n.max(1)).enumerate() {
            for (p, columns) in row.chunks(PANEL).enumerate() {
                all[(p * k + i) * PANEL..][..columns.len()].copy_from_slice(columns);
            }
        }
        Self { k, n, panels }
    }

    /// Whether these are its weights, row-major [k, n], bit for bit.
    pub(crate) fn holds(&self, weights: &[f32]) -> bool {
        let all = self.panels.get();
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        weights.len() == self.k * self.n
            && weights
                .chunks_exact(self.n.max(1))
                .enumerate()
                .all(|(i, row)| {
                    row.chunks(PANEL).enumerate().all(|(p, columns)| {
                        all[(p * self.k + i) * PANEL..]
                            .iter()
                            .zip(columns)
                            .all(same)
                    })
                })
    }

    /// Memory of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// out = x w + bias: x [R, K], bias [N], out [R, N].
    pub(crate) fn product(&self, cpu: Cpu, x: Rows<'_>, bias: Option<&[f32]>, out: RowsMut<'_>) {
        assert_eq!(x.width(), self.k, "width of the input");
        assert_eq!(out.width(), self.n, "width of the output");
        assert_eq!(x.rows(), out.rows(), "rows");
        if let Some(b) = bias {
            assert_eq!(b.len(), self.n, "width of the bias");
        }
        let shape = Shape {
            rows: x.rows(),
            panels: self.n.div_ceil(PANEL),
            row_bytes: self.k * size_of::<f32>(),
        };
        let mut job = Job {
            x,
            weights: self.panels.get(),
            bias,
            out,
        };
        match cpu.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => blocks(simd, shape, &mut job),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => blocks(simd, shape, &mut job),
            Level::Scalar => blocks(pulp::Scalar, shape, &mut job),
        }
    }
}
