//! Matrices packed so that tiles read them from front to back.

use super::{Operand, Shape};

/// Columns `column..column + width` of the right matrix from row `from` on, side by side; columns beyond it are zeros.
pub(super) fn right(
    b: Operand<'_>,
    shape: Shape,
    from: usize,
    column: usize,
    width: usize,
    to: &mut [f32],
) {
    let columns = width.min(shape.n - column);
    if !b.transposed {
        let rows = b.values[from * shape.n..].chunks(shape.n);
        for (to, row) in to.chunks_exact_mut(width).zip(rows) {
            copy(to, &row[column..][..columns]);
        }
        return;
    }
    let depth = to.len() / width;
    if columns < width {
        to.fill(0.0);
    }
    /// Steps of the depth that are written together: the lines they lie in stay in the first cache.
    const STEPS: usize = 16;
    for start in (0..depth).step_by(STEPS) {
        let steps = STEPS.min(depth - start);
        let to = &mut to[start * width..][..steps * width];
        for j in 0..columns {
            let x = &b.values[(column + j) * shape.k + from + start..][..steps];
            for (to, x) in to[j..].iter_mut().step_by(width).zip(x) {
                *to = *x;
            }
        }
    }
}

/// All panels of some rows from `from` on: the matrix is read from front to back.
pub(super) fn right_rows(b: Operand<'_>, shape: Shape, from: usize, width: usize, to: &mut [f32]) {
    let depth = to.len() / shape.n.next_multiple_of(width);
    let rows = b.values[from * shape.n..].chunks(shape.n).take(depth);
    for (i, row) in rows.enumerate() {
        for (p, columns) in row.chunks(width).enumerate() {
            copy(&mut to[(p * depth + i) * width..][..width], columns);
        }
    }
}

/// Columns, then zeros; in a few instructions where a panel is full.
#[inline]
fn copy(to: &mut [f32], x: &[f32]) {
    if let (Ok(to), Ok(x)) = (
        <&mut [f32; 32]>::try_from(&mut *to),
        <&[f32; 32]>::try_from(x),
    ) {
        *to = *x;
    } else {
        let (to, rest) = to.split_at_mut(x.len());
        to.copy_from_slice(x);
        rest.fill(0.0);
    }
}

/// `rows` rows of the left matrix, stored as columns of `values` with `stride` elements a step.
pub(super) fn left(values: &[f32], stride: usize, rows: usize, to: &mut [f32]) {
    let steps = values.chunks(stride);
    for (to, step) in to.chunks_exact_mut(rows).zip(steps) {
        for (to, x) in to.iter_mut().zip(&step[..rows]) {
            *to = *x;
        }
    }
}
