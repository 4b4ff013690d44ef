//! How a product of any size becomes tiles that fit the registers.

use std::ops::Range;

/// Bytes of rows that are kept near while all weights pass by: half of a small second-level cache.
const NEAR: usize = 1 << 18;

/// Where a tile lies: rows of the input and output, panels of the weights.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) panel: usize,
    pub(super) panels: usize,
}

/// The tiles of one instruction set for products of kind J.
pub(super) trait Tiles<J>: Copy {
    /// Most rows of a tile.
    const ROWS: usize;

    /// Most panels of a tile of so many rows: enough sums to hide the latency of an addition, and streams of weights
    /// enough for the prefetchers.
    fn panels(rows: usize) -> usize;

    /// Computes and stores a tile, not larger than the two bounds.
    fn tile(self, job: &mut J, at: At);
}

/// The extent of a product.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) panels: usize,
    /// Memory of one row of the input.
    pub(super) row_bytes: usize,
}

/// Runs all tiles of a product. Panels are the outer loop, so that one passes by each block of rows while it is near;
/// blocks of rows are as equal as can be, since a small rest would leave registers idle.
#[inline(always)]
pub(super) fn blocks<J, T: Tiles<J>>(tiles: T, shape: Shape, job: &mut J) {
    if shape.rows == 1 {
        // Of a small matrix, the bookkeeping below would be half of the time.
        for panels in even(shape.panels, T::panels(1)) {
            let at = At {
                row: 0,
                rows: 1,
                panel: panels.start,
                panels: panels.len(),
            };
            tiles.tile(job, at);
        }
        return;
    }
    let near = (NEAR / shape.row_bytes.max(1)).max(T::ROWS);
    for chunk in even(shape.rows, near) {
        let tallest = chunk.len().div_ceil(chunk.len().div_ceil(T::ROWS));
        for panels in even(shape.panels, T::panels(tallest)) {
            for block in even(chunk.len(), T::ROWS) {
                let at = At {
                    row: chunk.start + block.start,
                    rows: block.len(),
                    panel: panels.start,
                    panels: panels.len(),
                };
                tiles.tile(job, at);
            }
        }
    }
}

/// 0..len in as few ranges as possible of at most `most`; the first ones may be longer by one.
#[inline(always)]
fn even(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most);
    let (size, longer) = match count {
        0 | 1 => (len, 0),
        _ => (len / count, len % count),
    };
    let mut start = 0;
    (0..count).map(move |i| {
        let range = start..start + size + usize::from(i < longer);
        start = range.end;
        range
    })
}
