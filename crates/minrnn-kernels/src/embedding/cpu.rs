//! Embedding on the CPU.

use crate::column_sum::cpu::add_row;
use crate::dispatch::Level;
use crate::dropout::cpu::Mask;
use crate::math::Float;
use crate::parallel::{Shared, channel_block, each_row, each_task};

pub(super) fn rows<T: Float>(level: Level, table: &[T], width: usize, ids: &[u32]) -> Vec<T> {
    let mut y = vec![T::ZERO; ids.len() * width];
    each_row(
        level,
        &mut y,
        width,
        #[inline(always)]
        |row, y| y.copy_from_slice(&table[ids[row] as usize * width..][..width]),
    );
    y
}

/// The places of each id below `limit`, in order: `places[starts[id]..starts[id + 1]]`.
fn places(ids: &[u32], limit: usize) -> (Vec<usize>, Vec<usize>) {
    let mut starts = vec![0; limit + 1];
    for &id in ids {
        starts[id as usize + 1] += 1;
    }
    for id in 0..limit {
        starts[id + 1] += starts[id];
    }
    let mut next = starts.clone();
    let mut places = vec![0; ids.len()];
    for (place, &id) in ids.iter().enumerate() {
        places[next[id as usize]] = place;
        next[id as usize] += 1;
    }
    (starts, places)
}

/// The gradient of the table, `[rows,width]`.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
pub(super) fn gradient<T: Float>(
    level: Level,
    dy: &[T],
    width: usize,
    ids: &[u32],
    rows: usize,
) -> Vec<T> {
    let (starts, places) = places(ids, rows);
    let mut grad = vec![T::ZERO; rows * width];
    let out = Shared::new(&mut grad);
    let block = channel_block(rows, width);
    let blocks = width.div_ceil(block);
    each_task(rows * blocks, dy.len(), |task| {
        let (id, from) = (task / blocks, task % blocks * block);
        let n = block.min(width - from);
        // SAFETY: this block of this row, which only this task writes.
        let sum = unsafe { out.part(id * width + from, n) };
        level.run(
            #[inline(always)]
            || {
                for &place in &places[starts[id]..starts[id + 1]] {
                    let dy = &dy[place * width + from..][..n];
                    for (sum, &dy) in sum.iter_mut().zip(dy) {
                        *sum += dy;
                    }
                }
            },
        );
    });
    grad
}

/// `y[n] = table[ids[n]]`, then the dropout, in memory of the caller.
pub fn forward(table: &[f32], ids: &[u32], mask: Option<Mask>, y: &mut [f32]) {
    let width = y.len() / ids.len();
    each_row(
        Level::best(),
        y,
        width,
        #[inline(always)]
        |row, y| {
            y.copy_from_slice(&table[ids[row] as usize * width..][..width]);
            if let Some(mask) = mask {
                mask.apply(row * width, y);
            }
        },
    );
}

/// The gradient of the table: each row is the sum over its places in `ids`, in order. `work` is memory to work in.
pub fn backward(
    dy: &[f32],
    ids: &[u32],
    mask: Option<Mask>,
    dtable: &mut [f32],
    work: &mut Vec<f32>,
) {
    let width = dy.len() / ids.len();
    let dy = match mask {
        None => dy,
        Some(_) => {
            work.resize(dy.len(), 0.0);
            crate::dropout::cpu::add(None, dy, mask, work);
            work
        }
    };
    let block = channel_block(1, width);
    let blocks = width.div_ceil(block);
    dtable.fill(0.0);
    let out = Shared::new(dtable);
    each_task(blocks, dy.len(), |task| {
        let from = task * block;
        let n = block.min(width - from);
        Level::best().run(
            #[inline(always)]
            || {
                for (place, &id) in ids.iter().enumerate() {
                    #[allow(
                        unsafe_code,
                        reason = "strided blocks of one output, written by several threads"
                    )]
                    // SAFETY: these columns of the table, which only this task writes.
                    let sum = unsafe { out.part(id as usize * width + from, n) };
                    add_row(sum, &dy[place * width + from..][..n]);
                }
            },
        );
    });
}

/// A computed number as that of a row.
fn row(at: f32, rows: usize) -> Option<usize> {
    let inside = at >= 0.0 && at < rows as f32 && at.fract() == 0.0;
    inside.then_some(at as usize)
}

/// `y[n] = table[at[n]]` by computed whole numbers; NaN where there is no such row.
pub fn forward_numbers(table: &[f32], at: &[f32], y: &mut [f32]) {
    let width = y.len() / at.len();
    each_row(
        Level::best(),
        y,
        width,
        #[inline(always)]
        |i, y| match row(at[i], table.len() / width) {
            Some(row) => y.copy_from_slice(&table[row * width..][..width]),
            None => y.fill(f32::NAN),
        },
    );
}

/// The gradient of the table of [`forward_numbers`], as [`backward`]; places without a row are left out.
pub fn backward_numbers(dy: &[f32], at: &[f32], dtable: &mut [f32], work: &mut Vec<f32>) {
    let width = dy.len() / at.len();
    let rows = dtable.len() / width;
    let ids: Option<Vec<u32>> = at
        .iter()
        .map(|at| row(*at, rows).map(|r| r as u32))
        .collect();
    if let Some(ids) = ids {
        return backward(dy, &ids, None, dtable, work);
    }
    dtable.fill(0.0);
    for (at, dy) in at.iter().zip(dy.chunks_exact(width)) {
        if let Some(row) = row(*at, rows) {
            add_row(&mut dtable[row * width..][..width], dy);
        }
    }
}
