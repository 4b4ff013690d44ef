//! Products of u8 around zero points, exact in i32: ONNX operator MatMulInteger.

use super::{Cpu, Rows, RowsMut};

/// Weights `[K, N]` less their zero point.
#[derive(Debug)]
pub(crate) struct MatrixU8 {
    k: usize,
    n: usize,
    weights: Vec<i16>,
}

impl MatrixU8 {
    /// `weights` is row-major.
    pub(crate) fn pack(k: usize, n: usize, weights: &[u8], zero: u8) -> Self {
        assert_eq!(weights.len(), k * n, "weights of {k} rows of {n}");
        let around = |w: &u8| i16::from(*w) - i16::from(zero);
        Self {
            k,
            n,
            weights: weights.iter().map(around).collect(),
        }
    }

    /// `out[r, n] = sum over k of (x[r, k] - zero) * (w[k, n] - w_zero)`.
    pub(crate) fn product(&self, _cpu: Cpu, x: Rows<'_, u8>, zero: u8, mut out: RowsMut<'_, i32>) {
        for row in 0..x.rows() {
            let (values, sums) = (x.row(row), out.row_mut(row));
            assert_eq!(values.len(), self.k, "values of a row");
            sums.fill(0);
            for (value, weights) in values.iter().zip(self.weights.chunks_exact(self.n)) {
                let value = i32::from(*value) - i32::from(zero);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += value * i32::from(*w);
                }
            }
        }
    }
}
