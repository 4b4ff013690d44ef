//! Splitting work over threads so that the result does not depend on their number:
//! outputs are disjoint, and sums go through blocks whose borders depend on sizes alone.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

use crate::dispatch::Level;
use crate::math::Float;

/// Elements below which a second thread costs more than it brings.
const SERIAL: usize = 1 << 14;

/// Elements that one thread takes at a time where every element, or row, stands alone.
pub(crate) const CHUNK: usize = 1 << 13;

/// Calls `f(0), f(1), ..` once each, on several threads if `elements` is large.
pub(crate) fn each_task(tasks: usize, elements: usize, f: impl Fn(usize) + Sync + Send) {
    if tasks < 2 || elements < SERIAL {
        (0..tasks).for_each(f);
    } else {
        (0..tasks).into_par_iter().for_each(f);
    }
}

/// Calls `f(first element, part)` for each part of `out`, `chunk` elements long (the last may be
/// shorter), on several threads if `elements`, the amount of work, is large.
pub(crate) fn each_chunk<T: Float>(
    level: Level,
    out: &mut [T],
    chunk: usize,
    elements: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let part = |(i, part): (usize, &mut [T])| {
        level.run(
            #[inline(always)]
            || f(i * chunk, part),
        );
    };
    if elements < SERIAL {
        out.chunks_mut(chunk).enumerate().for_each(part);
    } else {
        out.par_chunks_mut(chunk).enumerate().for_each(part);
    }
}

/// As [`each_chunk`] for two outputs of one length.
pub(crate) fn each_chunk_of_two<T: Float>(
    level: Level,
    [left, right]: [&mut [T]; 2],
    chunk: usize,
    elements: usize,
    f: impl Fn(usize, [&mut [T]; 2]) + Sync + Send,
) {
    let part = |(i, (left, right)): (usize, (&mut [T], &mut [T]))| {
        level.run(
            #[inline(always)]
            || f(i * chunk, [left, right]),
        );
    };
    if elements < SERIAL {
        let both = left.chunks_mut(chunk).zip(right.chunks_mut(chunk));
        both.enumerate().for_each(part);
    } else {
        let both = left.par_chunks_mut(chunk).zip(right.par_chunks_mut(chunk));
        both.enumerate().for_each(part);
    }
}

/// Calls `f(index of row, row)` once for each row of `out`, rows being `width` long.
pub(crate) fn each_row<T: Float>(
    level: Level,
    out: &mut [T],
    width: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let chunk = CHUNK.div_ceil(width) * width;
    let elements = out.len();
    each_chunk(
        level,
        out,
        chunk,
        elements,
        #[inline(always)]
        |from, part| {
            for (i, row) in part.chunks_exact_mut(width).enumerate() {
                f(from / width + i, row);
            }
        },
    );
}

/// The sum over all rows of what `f(rows, sum)` adds to `sum`, which is `width` long.
/// Blocks of rows depend on `rows` alone and are added in order.
pub(crate) fn sum_rows<T: Float>(
    level: Level,
    rows: usize,
    width: usize,
    f: impl Fn(Range<usize>, &mut [T]) + Sync + Send,
) -> Vec<T> {
    let block = rows.div_ceil(64).max(32);
    let blocks = rows.div_ceil(block);
    let mut parts = vec![T::ZERO; blocks * width];
    let part = |(i, part): (usize, &mut [T])| {
        let range = i * block..((i + 1) * block).min(rows);
        level.run(
            #[inline(always)]
            || f(range, part),
        );
    };
    if rows * width < SERIAL {
        parts.chunks_mut(width).enumerate().for_each(part);
    } else {
        parts.par_chunks_mut(width).enumerate().for_each(part);
    }
    let (sum, rest) = parts.split_at_mut(width);
    for part in rest.chunks_exact(width) {
        for (s, &p) in sum.iter_mut().zip(part) {
            *s += p;
        }
    }
    parts.truncate(width);
    parts
}

/// Calls `f(rows, their part of each output)` for blocks of `block` rows. An output has `k * rows` elements for some k of
/// its own, 0 too.
pub(crate) fn each_rows<T: Float, const N: usize>(
    level: Level,
    rows: usize,
    block: usize,
    elements: usize,
    mut outs: [&mut [T]; N],
    f: impl Fn(Range<usize>, [&mut [T]; N]) + Sync + Send,
) {
    let widths = outs.each_ref().map(|out| out.len() / rows.max(1));
    let tasks = (0..rows.div_ceil(block)).map(|i| {
        let range = i * block..((i + 1) * block).min(rows);
        let mut own = [(); N].map(|()| &mut [][..]);
        for ((own, out), width) in own.iter_mut().zip(&mut outs).zip(widths) {
            let (part, rest) = std::mem::take(out).split_at_mut(width * range.len());
            (*own, *out) = (part, rest);
        }
        (range, own)
    });
    let tasks: Vec<_> = tasks.collect();
    let run = |(range, own): (Range<usize>, [&mut [T]; N])| {
        level.run(
            #[inline(always)]
            || f(range, own),
        );
    };
    if elements < SERIAL {
        tasks.into_iter().for_each(run);
    } else {
        tasks.into_par_iter().for_each(run);
    }
}

/// Rows of each of the blocks whose sums are added in order: it depends on `rows` alone.
pub(crate) fn sum_block(rows: usize) -> usize {
    rows.div_ceil(64).max(32)
}

/// The same, with sums over all rows: `f` adds those of its rows to its last argument, all `totals` behind each other, which
/// are zeros at first. Sums are added in the order of the blocks, whose borders depend on `rows` alone. `work`: memory to
/// work in. `add`: totals are added to what is there.
#[allow(clippy::too_many_arguments, reason = "sizes, outputs, sums")]
pub(crate) fn each_rows_summed<T: Float, const N: usize, const S: usize>(
    level: Level,
    rows: usize,
    elements: usize,
    outs: [&mut [T]; N],
    totals: [&mut [T]; S],
    add: bool,
    work: &mut Vec<T>,
    f: impl Fn(Range<usize>, [&mut [T]; N], &mut [T]) + Sync + Send,
) {
    let block = sum_block(rows);
    let width: usize = totals.iter().map(|t| t.len()).sum();
    work.clear();
    work.resize(rows.div_ceil(block) * width, T::ZERO);
    let sums = Shared::new(work.as_mut_slice());
    each_rows(
        level,
        rows,
        block,
        elements,
        outs,
        #[inline(always)]
        |range, own| {
            #[allow(unsafe_code, reason = "the sums of one block of rows")]
            // SAFETY: the part of this block, which only its task writes.
            let sums = unsafe { sums.part(range.start / block * width, width) };
            f(range, own, sums);
        },
    );
    let mut from = 0;
    for total in totals.into_iter().filter(|t| !t.is_empty()) {
        if !add {
            total.fill(T::ZERO);
        }
        for part in work.chunks_exact(width) {
            let part = &part[from..from + total.len()];
            total.iter_mut().zip(part).for_each(|(t, p)| *t += *p);
        }
        from += total.len();
    }
}

/// The width of the blocks of channels into which rows of `channels` are split, so that
/// `rows` independent rows keep all threads busy. Only for work that treats every channel alone.
pub(crate) fn channel_block(rows: usize, channels: usize) -> usize {
    let wanted = 4 * rayon::current_num_threads();
    let blocks = wanted.div_ceil(rows).min(channels.div_ceil(64));
    channels.div_ceil(blocks).next_multiple_of(64).min(channels)
}

/// A mutable slice of which several threads take disjoint parts.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
// SAFETY: a `Shared` only hands out parts through `part`, whose contract makes them disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    /// The part `[start, start + len)`.
    ///
    /// # Safety
    /// While the part lives, nobody else may hold one that overlaps it.
    #[inline(always)]
    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's contract")]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(
            start <= self.len && len <= self.len - start,
            "part outside of the output"
        );
        // SAFETY: in bounds by the assertion; exclusive by the contract of this function.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}
