//! Products of bytes with a constant matrix of bytes, exact in i32: ONNX MatMulInteger.
//!
//! Weights are kept as the bytes they are, a quarter of f32. The sum runs over x - zero, as 16-bit numbers, times w; what
//! the zero of the weights takes away is one number per row, subtracted at the end. All of it modulo 2^32, so that the
//! result is right wherever it fits (always up to K = 33,000). Exact sums have no order to keep.

use super::aligned::Aligned;
use super::blocking::{Shape, blocks};
use super::bytes_tile::{Job, LINE, PANEL};
use super::cpu::{Cpu, Level};
use super::rows::{Rows, RowsMut};

/// Byte weights [K, N], packed: panels of 32 columns, in each the columns of two k side by side. Of the line of k and
/// k + 1, byte 4c + 2j is that of k + j in column c, byte 4c + 2j + 1 that in column c + 16: so that the even bytes, and
/// the odd ones, are 16-bit numbers whose pairs are multiplied and added by one instruction.
#[derive(Debug)]
pub(crate) struct MatrixU8 {
    k: usize,
    n: usize,
    zero: u8,
    panels: Aligned<u8>,
}

impl MatrixU8 {
    /// Whether these are its weights and its zero.
    pub(crate) fn holds(&self, weights: &[u8], zero: u8) -> bool {
        let (all, lines) = (self.panels.get(), self.k.div_ceil(2));
        let mut rows = weights.chunks_exact(self.n.max(1)).enumerate();
        zero == self.zero
            && weights.len() == self.k * self.n
            && rows.all(|(i, row)| {
                let mut each = row.iter().enumerate();
                each.all(|(column, w)| all[place(lines, i, column)] == *w)
            })
    }

    /// Packs row-major weights [k, n]; `zero` is the byte that means 0.
    pub(crate) fn pack(k: usize, n: usize, weights: &[u8], zero: u8) -> Self {
        assert_eq!(weights.len(), k * n, "weights of [{k}, {n}]");
        let lines = k.div_ceil(2);
        let mut panels = Aligned::new(lines * LINE * n.div_ceil(PANEL), 0);
        let all = panels.get_mut();
        for (i, row) in weights.chunks_exact(n.max(1)).enumerate() {
            for (column, &w) in row.iter().enumerate() {
                all[place(lines, i, column)] = w;
            }
        }
        Self { k, n, zero, panels }
    }

    /// Memory of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// out = (x - x_zero) (w - zero): x [R, K], out [R, N].
    pub(crate) fn product(&self, cpu: Cpu, x: Rows<'_, u8>, x_zero: u8, out: RowsMut<'_, i32>) {
        assert_eq!(x.width(), self.k, "width of the input");
        assert_eq!(out.width(), self.n, "width of the output");
        assert_eq!(x.rows(), out.rows(), "rows");
        let shape = Shape {
            rows: x.rows(),
            panels: self.n.div_ceil(PANEL),
            row_bytes: self.k,
        };
        let mut job = Job {
            x,
            x_zero,
            weights: self.panels.get(),
            zero: self.zero,
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

/// Where the weight of `k` and `column` is, in panels of that many lines.
#[inline]
fn place(lines: usize, k: usize, column: usize) -> usize {
    let (panel, column) = (column / PANEL, column % PANEL);
    let line = (panel * lines + k / 2) * LINE;
    line + 4 * (column % 16) + 2 * (k % 2) + column / 16
}
