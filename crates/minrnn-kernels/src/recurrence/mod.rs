//! The driver that all recurrences share: sequential in time, parallel over batch and blocks
//! of channels, one pass over memory forward and one backward.
//!
//! A [`Cell`] says how one row (one step of one sequence) goes on. Channels do not touch each
//! other, so any split over batch and channels gives the same bits.

#[cfg(feature = "cuda")]
pub(crate) mod bridge;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
pub(crate) mod cuda_tests;
pub(crate) mod packed;
#[cfg(feature = "cuda")]
mod shape;
#[cfg(feature = "cuda")]
#[cfg(test)]
pub(crate) mod sweep;
#[cfg(feature = "cuda")]
mod tables;
#[cfg(feature = "cuda")]
mod tiles;

use candle_core::{Result, Shape, Tensor};

use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::{Shared, channel_block, each_task};
use crate::tensors::{Input, hold};

/// `[B,T,D]`: sequences, steps, channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B.
    pub b: usize,
    /// T.
    pub t: usize,
    /// D.
    pub d: usize,
}

impl Size {
    /// As the slow twins take it.
    pub fn dims(self) -> [usize; 3] {
        [self.b, self.t, self.d]
    }

    pub(crate) fn elements(self) -> usize {
        self.b * self.t * self.d
    }
    pub(crate) fn shape(self) -> Shape {
        (self.b, self.t, self.d).into()
    }

    /// Refuses a saved h, or a gradient of it, that does not belong to the input `x`.
    pub(crate) fn check_saved(
        self,
        op: &'static str,
        x: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<()> {
        let x = Input::recurrent(op, "input", x)?;
        for (name, tensor) in [("h", h), ("dh", dh)] {
            let input = Input::recurrent(op, name, tensor)?.like(x)?;
            input.shaped(&[self.b, self.t, self.d], "[B,T,D]")?;
        }
        Ok(())
    }
}

/// One step of a recurrence over a row of channels. Rows are `n` long; a cell uses the first
/// [`Cell::PARTS`] of three, the others are empty.
pub(crate) trait Cell<T: Float>: Copy + Send + Sync {
    /// How many values each channel gets at each step.
    const PARTS: usize;

    /// `h = a * prev + b`: multiply, round, add, round.
    fn forward(self, x: [&[T]; 3], prev: &[T], h: &mut [T]);

    /// With `d = dh + carry` the gradient of this row of h: writes the gradient of each part
    /// to `dx`, and `a * d`, the gradient that reaches `prev`, to `carry`.
    fn backward(self, x: [&[T]; 3], prev: &[T], dh: &[T], carry: &mut [T], dx: [&mut [T]; 3]);
}

/// Where the parts come from: part p of row r starts at `parts[p][r * stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) parts: [&'a [T]; 3],
    pub(crate) stride: usize,
}

impl<'a, T: Float> Source<'a, T> {
    /// `count` parts side by side in each row of one tensor `[B,T,count * D]`.
    pub(crate) fn packed(data: &'a [T], size: Size, count: usize) -> Self {
        let part = |p| {
            if p < count {
                &data[p * size.d..]
            } else {
                &[][..]
            }
        };
        Self {
            parts: [part(0), part(1), part(2)],
            stride: count * size.d,
        }
    }

    #[inline(always)]
    fn row(&self, row: usize, from: usize, n: usize) -> [&'a [T]; 3] {
        let at = row * self.stride + from;
        self.parts
            .map(|p| if p.is_empty() { p } else { &p[at..at + n] })
    }
}

/// Where the gradients of the parts go: part p of row r starts at `offset + r * stride`.
pub(crate) struct Sink<'a, T> {
    pub(crate) parts: [Option<(&'a Shared<'a, T>, usize)>; 3],
    pub(crate) stride: usize,
}

impl<'a, T: Float> Sink<'a, T> {
    /// `count` parts side by side in each row of one tensor `[B,T,count * D]`.
    pub(crate) fn packed(data: &'a Shared<'a, T>, size: Size, count: usize) -> Self {
        let part = |p| (p < count).then_some((data, p * size.d));
        Self {
            parts: [part(0), part(1), part(2)],
            stride: count * size.d,
        }
    }

    /// # Safety
    /// While these rows live, nobody else may hold the same channels of the same row.
    #[inline(always)]
    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's contract")]
    unsafe fn row(&self, row: usize, from: usize, n: usize) -> [&mut [T]; 3] {
        let at = row * self.stride + from;
        self.parts.each_ref().map(|part| match part {
            // SAFETY: the parts do not overlap each other; rows and channels by the contract.
            Some((out, offset)) => unsafe { out.part(offset + at, n) },
            None => &mut [],
        })
    }
}

/// Calls `f(sequence, first channel, number of channels)` for every block of every sequence.
fn each_block(level: Level, size: Size, f: impl Fn(usize, usize, usize) + Sync + Send) {
    let width = channel_block(size.b, size.d);
    let blocks = size.d.div_ceil(width);
    each_task(size.b * blocks, size.elements(), |task| {
        let (sequence, from) = (task / blocks, task % blocks * width);
        let n = width.min(size.d - from);
        level.run(
            #[inline(always)]
            || f(sequence, from, n),
        );
    });
}

/// h `[B,T,D]` from the parts and `h0` `[B,D]`.
pub(crate) fn forward<T: Float, C: Cell<T>>(
    level: Level,
    cell: C,
    x: Source<'_, T>,
    h0: &[T],
    size: Size,
) -> Vec<T> {
    let mut h = vec![T::ZERO; size.elements()];
    forward_to(level, cell, x, h0, size, &mut h);
    h
}

/// The same into memory of the caller.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
pub(crate) fn forward_to<T: Float, C: Cell<T>>(
    level: Level,
    cell: C,
    x: Source<'_, T>,
    h0: &[T],
    size: Size,
    h: &mut [T],
) {
    assert_eq!(h.len(), size.elements(), "h of {size:?}");
    let out = Shared::new(h);
    each_block(
        level,
        size,
        #[inline(always)]
        |sequence, from, n| {
            for t in 0..size.t {
                let row = sequence * size.t + t;
                let prev = match t {
                    0 => &h0[sequence * size.d + from..][..n],
                    // SAFETY: the row before, of this block, which only this task writes.
                    _ => unsafe { out.part((row - 1) * size.d + from, n) },
                };
                // SAFETY: this row of this block, which only this task writes; `prev` is another row.
                let now = unsafe { out.part(row * size.d + from, n) };
                cell.forward(x.row(row, from, n), prev, now);
            }
        },
    );
}

/// What a backward pass needs beside the parts: `h0`, the saved `h` and the gradient of `h`.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a, T> {
    pub(crate) h0: &'a [T],
    pub(crate) h: &'a [T],
    pub(crate) dh: &'a [T],
}

/// Writes the gradients of the parts to `dx` and returns that of `h0`, `[B,D]`.
pub(crate) fn backward<T: Float, C: Cell<T>>(
    level: Level,
    cell: C,
    x: Source<'_, T>,
    saved: Saved<'_, T>,
    size: Size,
    dx: &Sink<'_, T>,
) -> Vec<T> {
    let mut dh0 = vec![T::ZERO; size.b * size.d];
    backward_to(level, cell, x, saved, size, dx, &mut dh0);
    dh0
}

/// The same into memory of the caller, zeros or not.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
pub(crate) fn backward_to<T: Float, C: Cell<T>>(
    level: Level,
    cell: C,
    x: Source<'_, T>,
    saved: Saved<'_, T>,
    size: Size,
    dx: &Sink<'_, T>,
    dh0: &mut [T],
) {
    dh0.fill(T::ZERO);
    let out = Shared::new(dh0);
    each_block(
        level,
        size,
        #[inline(always)]
        |sequence, from, n| {
            // SAFETY: this block of this sequence, which only this task writes.
            let carry = unsafe { out.part(sequence * size.d + from, n) };
            for t in (0..size.t).rev() {
                let row = sequence * size.t + t;
                let prev = match t {
                    0 => &saved.h0[sequence * size.d + from..][..n],
                    _ => &saved.h[(row - 1) * size.d + from..][..n],
                };
                let dh = &saved.dh[row * size.d + from..][..n];
                // SAFETY: this row of this block, which only this task writes.
                let to = unsafe { dx.row(row, from, n) };
                cell.backward(x.row(row, from, n), prev, dh, carry, to);
            }
        },
    );
}

/// Channels of a row whose parts are set aside before their gradients are written over them.
const ASIDE: usize = 128;

/// The same of a packed input whose gradients take its place.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
pub(crate) fn backward_in_place<T: Float, C: Cell<T>>(
    level: Level,
    cell: C,
    x: &mut [T],
    saved: Saved<'_, T>,
    size: Size,
    dh0: &mut [T],
) {
    assert_eq!(x.len(), C::PARTS * size.elements(), "input of {size:?}");
    dh0.fill(T::ZERO);
    let (out, shared) = (Shared::new(dh0), Shared::new(x));
    let sink = Sink::packed(&shared, size, C::PARTS);
    each_block(
        level,
        size,
        #[inline(always)]
        |sequence, from, n| {
            let mut aside = [[T::ZERO; ASIDE]; 3];
            for t in (0..size.t).rev() {
                let row = sequence * size.t + t;
                let prev = match t {
                    0 => &saved.h0[sequence * size.d..][..size.d],
                    _ => &saved.h[(row - 1) * size.d..][..size.d],
                };
                let dh = &saved.dh[row * size.d..][..size.d];
                for start in (from..from + n).step_by(ASIDE) {
                    let n = ASIDE.min(from + n - start);
                    // SAFETY: these channels of this row and sequence, which only this task writes.
                    let to = unsafe { sink.row(row, start, n) };
                    // SAFETY: the same.
                    let carry = unsafe { out.part(sequence * size.d + start, n) };
                    for (aside, part) in aside.iter_mut().zip(&to) {
                        aside[..part.len()].copy_from_slice(part);
                    }
                    let parts = aside.each_ref().map(|part| &part[..n]);
                    let prev = &prev[start..start + n];
                    cell.backward(parts, prev, &dh[start..start + n], carry, to);
                }
            }
        },
    );
}

/// All of them, contiguous.
pub(crate) fn contiguous<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let mut all = tensors.map(Tensor::clone);
    for tensor in &mut all {
        *tensor = tensor.contiguous()?;
    }
    Ok(all)
}

/// The gradients of a packed input and of `h0`, as tensors shaped like them.
pub(crate) fn packed_gradients<T: Float, C: Cell<T>>(
    op: &'static str,
    cell: C,
    x: &Tensor,
    h0: &Tensor,
    h: &Tensor,
    dh: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (b, t, d) = h.dims3()?;
    let size = Size { b, t, d };
    let dh = dh.contiguous()?;
    let mut dx = vec![T::ZERO; C::PARTS * size.elements()];
    let dh0 = {
        let (held_x, held_h0) = (hold(op, x), hold(op, h0));
        let (held_h, held_dh) = (hold(op, h), hold(op, &dh));
        let saved = Saved {
            h0: held_h0.slice()?,
            h: held_h.slice()?,
            dh: held_dh.slice()?,
        };
        let source = Source::packed(held_x.slice()?, size, C::PARTS);
        let shared = Shared::new(&mut dx);
        let sink = Sink::packed(&shared, size, C::PARTS);
        backward(Level::best(), cell, source, saved, size, &sink)
    };
    Ok((
        Tensor::from_vec(dx, x.shape(), x.device())?,
        Tensor::from_vec(dh0, h0.shape(), h0.device())?,
    ))
}
