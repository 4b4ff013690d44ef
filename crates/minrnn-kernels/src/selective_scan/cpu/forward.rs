//! Forward.

use super::{Block, Inputs, advance, decays, rates, rates_of, tasks};
use crate::dispatch::Level;
use crate::math::{Float, sum2};
use crate::parallel::{Shared, each_task};
use crate::selective_scan::Size;

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
    let rates = rates(inputs.log_rates);
    let sink = Sink {
        y: Shared::new(out.y),
        last: out.last.map(Shared::new),
        marks: out.marks.map(Shared::new),
    };
    each_task(tasks(size), size.rows() * size.wide(), |task| {
        let block = Block::of(task, size);
        let len = lens.map_or(size.time, |lens| lens[block.sequence] as usize);
        level.run(
            #[inline(always)]
            || run(inputs, &rates, block, len, size, &sink),
        );
    });
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "strided blocks of one output, written by several threads"
)]
fn run<T: Float>(
    inputs: &Inputs<'_, T>,
    rates: &[T],
    block: Block,
    len: usize,
    size: Size,
    out: &Sink<'_, T>,
) {
    let n = size.states;
    let (first, count) = block.states(size);
    let mut h = match inputs.h0 {
        Some(h0) => h0[first..][..count].to_vec(),
        None => vec![T::ZERO; count],
    };
    let mut decay = vec![T::ZERO; n];
    let mut now = vec![T::ZERO; n];
    for t in 0..size.time {
        let row = block.sequence * size.time + t;
        if let Some(marks) = out
            .marks
            .as_ref()
            .filter(|_| t > 0 && t % size.every() == 0)
        {
            let mark = block.sequence * size.kept() + t / size.every() - 1;
            let at = mark * size.wide() + block.from * n;
            // SAFETY: this block of this mark, which only this task writes.
            unsafe { marks.part(at, count) }.copy_from_slice(&h);
        }
        let (b, c) = (
            inputs.b.part(row, block.group * n, n),
            inputs.c.part(row, block.group * n, n),
        );
        let x = inputs.x.part(row, block.from, block.len);
        let steps = inputs.step.part(row, 0, size.heads);
        // SAFETY: this block of this row, which only this task writes.
        let y = unsafe { out.y.part(row * size.channels + block.from, block.len) };
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            let channel = block.from + i;
            let head = channel / size.head_channels();
            let h = &mut h[i * n..][..n];
            decays(steps[head], rates_of(rates, size, channel), &mut decay);
            advance(&decay, steps[head] * *x, b, h, &mut now);
            h.copy_from_slice(&now);
            *y = sum2(h, c, |h, c| h * c) + *x * inputs.skip[head];
        }
        if let Some(last) = out.last.as_ref().filter(|_| t + 1 == len) {
            // SAFETY: this block of this sequence, which only this task writes.
            unsafe { last.part(first, count) }.copy_from_slice(&h);
        }
    }
}
