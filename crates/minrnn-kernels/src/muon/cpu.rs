//! On the CPU, in f32, by this crate's products: the same bits with any number of threads.

use rayon::prelude::*;

use super::{COEFFICIENTS, EPS, ITERATIONS};
use crate::product::{self, Operand, Shape, product};

/// Elements changed by one task.
const CHUNK: usize = 1 << 14;

/// Elements of memory beside a matrix that [`orthogonalise`] needs.
pub fn work_len([rows, cols]: [usize; 2]) -> usize {
    let n = rows.min(cols);
    rows * cols + 2 * n * n
}

/// What [`super`] says of `x`, `[rows, cols]`, whose Frobenius norm is `norm`, in its place.
///
/// # Panics
/// If `x` or `work` ([`work_len`]) is not as long as the sizes say.
pub fn orthogonalise(
    packed: &mut product::Scratch,
    work: &mut [f32],
    x: &mut [f32],
    [rows, cols]: [usize; 2],
    norm: f64,
) {
    assert_eq!(x.len(), rows * cols, "a matrix of {rows} x {cols}");
    assert_eq!(work.len(), work_len([rows, cols]), "memory beside it");
    let (n, deep, wide) = (rows.min(cols), rows.max(cols), rows <= cols);
    let (other, grams) = work.split_at_mut(x.len());
    let (gram, square) = grams.split_at_mut(n * n);
    let scale = (1.0 / norm.max(EPS)) as f32;
    x.par_chunks_mut(CHUNK).for_each(|part| {
        part.iter_mut().for_each(|v| *v *= scale);
    });
    let (mut x, mut next) = (x, other);
    for _ in 0..ITERATIONS {
        let both = match wide {
            true => [plain(x), transposed(x)],
            false => [transposed(x), plain(x)],
        };
        product(packed, shape(n, n, deep), both, None, gram, false);
        let both = [plain(gram), plain(gram)];
        product(packed, shape(n, n, n), both, None, square, false);
        combine(gram, square, n);
        let both = match wide {
            true => [plain(gram), plain(x)],
            false => [plain(x), plain(gram)],
        };
        product(packed, shape(rows, cols, n), both, None, next, false);
        std::mem::swap(&mut x, &mut next);
    }
    // After an odd number of iterations the result lies in the memory beside.
    if ITERATIONS % 2 == 1 {
        next.copy_from_slice(x);
    }
}

/// `a I + b gram + c square`, in the place of `gram`.
fn combine(gram: &mut [f32], square: &[f32], n: usize) {
    let [a, b, c] = COEFFICIENTS.map(|v| v as f32);
    let rows = (CHUNK / n).max(1);
    let parts = gram
        .par_chunks_mut(rows * n)
        .zip(square.par_chunks(rows * n));
    parts.enumerate().for_each(|(part, (gram, square))| {
        for (g, s) in gram.iter_mut().zip(square) {
            *g = b * *g + c * s;
        }
        let first = part * rows;
        for (row, line) in gram.chunks_exact_mut(n).enumerate() {
            line[first + row] += a;
        }
    });
}

fn plain(values: &[f32]) -> Operand<'_> {
    Operand {
        values,
        transposed: false,
    }
}

fn transposed(values: &[f32]) -> Operand<'_> {
    Operand {
        values,
        transposed: true,
    }
}

fn shape(m: usize, n: usize, k: usize) -> Shape {
    Shape { m, n, k }
}
