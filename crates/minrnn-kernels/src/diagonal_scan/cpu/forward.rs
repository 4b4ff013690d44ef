//! Forward.

use super::coefficients::coefficients;
use super::{Block, Channel, EVERY, Inputs, gather, parts, stretch, tasks};
use crate::diagonal_scan::Size;
use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::{Shared, each_task};

/// Where results go.
pub(crate) struct Out<'a, T> {
    /// `[B,T,D]`.
    pub(crate) y: &'a mut [T],
    /// The state after each sequence's last step, `[B,D N]`.
    pub(crate) last: Option<&'a mut [T]>,
    /// States that the backward pass needs, `[B,kept,D N]`.
    pub(crate) marks: Option<&'a mut [T]>,
}

/// Memory that tasks share.
struct Sink<'a, T> {
    y: Shared<'a, T>,
    last: Option<Shared<'a, T>>,
    marks: Option<Shared<'a, T>>,
}

/// y, the last state and the marks, as far as they are wanted. `lens`: the steps of each sequence, else all T.
pub(crate) fn forward<T: Float>(
    level: Level,
    inputs: &Inputs<'_, T>,
    lens: Option<&[u32]>,
    size: Size,
    out: Out<'_, T>,
) {
    let all = coefficients(level, inputs, size);
    let sink = Sink {
        y: Shared::new(out.y),
        last: out.last.map(Shared::new),
        marks: out.marks.map(Shared::new),
    };
    each_task(tasks(size), size.rows() * size.state(), |task| {
        let block = Block::of(task, size);
        let len = lens.map_or(size.time, |lens| lens[block.sequence] as usize);
        level.run(
            #[inline(always)]
            || run(inputs, &all, block, len, size, &sink),
        );
    });
}

/// Puts one channel's state `[re | im]` into that of all channels which begins at `from`.
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
fn put<T: Float>(to: &Shared<'_, T>, from: usize, channel: usize, h: &[T], size: Size) {
    let (re, im) = h.split_at(size.pairs);
    for (at, part) in parts(from, channel, size).into_iter().zip([re, im]) {
        // SAFETY: this channel of this sequence, which only its task writes.
        unsafe { to.part(at, part.len()) }.copy_from_slice(part);
    }
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
fn run<T: Float>(
    inputs: &Inputs<'_, T>,
    all: &[T],
    block: Block,
    len: usize,
    size: Size,
    out: &Sink<'_, T>,
) {
    let two = 2 * size.pairs;
    let mut states = vec![T::ZERO; block.len * two];
    if let Some(h0) = inputs.h0 {
        for (i, h) in states.chunks_exact_mut(two).enumerate() {
            let [re, im] = parts(block.sequence * size.state(), block.from + i, size);
            h[..size.pairs].copy_from_slice(&h0[re..][..size.pairs]);
            h[size.pairs..].copy_from_slice(&h0[im..][..size.pairs]);
        }
    }
    let mut now = vec![T::ZERO; two];
    let (mut x, mut y) = (
        vec![T::ZERO; block.len * EVERY],
        vec![T::ZERO; block.len * EVERY],
    );
    for at in 0..size.time.div_ceil(EVERY) {
        let (steps, row) = stretch(block, at, size);
        gather(inputs.x, row, steps, block, size, &mut x);
        for i in 0..block.len {
            let channel = block.from + i;
            let own = Channel::of(all, inputs.skip, channel, size);
            let h = &mut states[i * two..][..two];
            if let Some(marks) = out.marks.as_ref().filter(|_| at > 0) {
                let mark = block.sequence * size.kept() + at - 1;
                put(marks, mark * size.state(), channel, h, size);
            }
            for s in 0..steps {
                let x = x[i * EVERY + s];
                own.advance(x, h, &mut now);
                h.copy_from_slice(&now);
                y[i * EVERY + s] = own.read(x, h);
                if let Some(last) = out.last.as_ref().filter(|_| at * EVERY + s + 1 == len) {
                    put(last, block.sequence * size.state(), channel, h, size);
                }
            }
        }
        for s in 0..steps {
            let to = (row + s) * size.channels + block.from;
            // SAFETY: this block of this row, which only this task writes.
            let to = unsafe { out.y.part(to, block.len) };
            to.iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = y[i * EVERY + s]);
        }
    }
}
