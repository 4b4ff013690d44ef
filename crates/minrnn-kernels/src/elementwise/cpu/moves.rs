//! What moves values: columns, delays, last steps, rows; and means over channels.

use minrnn_model::graph::Reduction;

use super::put;
use crate::Size;
use crate::dispatch::Level;
use crate::elementwise::divisor;
use crate::math::sum;
use crate::parallel::{CHUNK, each_chunk, each_row};

/// Columns of a matrix: rows of `stride` elements, columns from `from` on.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// Elements of a row.
    pub stride: usize,
    /// The first column.
    pub from: usize,
}

/// `width` columns of x to columns of y, or added to them.
pub fn copy_columns(x: &[f32], at: Columns, y: &mut [f32], to: Columns, width: usize, add: bool) {
    each_row(
        Level::best(),
        y,
        to.stride,
        #[inline(always)]
        |row, y| {
            let x = &x[row * at.stride + at.from..][..width];
            for (y, &x) in y[to.from..][..width].iter_mut().zip(x) {
                put(y, x, add);
            }
        },
    );
}

/// Values of earlier steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// `[B,T,W]`.
    pub size: Size,
    /// Steps in the state.
    pub lag: usize,
    /// By how many steps, at most those of the state.
    pub by: usize,
}

/// `y[t] = x[t - by]`, before the begin the state `[B,lag,W]` or zeros.
pub fn delay(x: &[f32], state: Option<&[f32]>, y: &mut [f32], delay: Delay) {
    let Delay { size, lag, by } = delay;
    let Size { t, d, .. } = size;
    each_row(
        Level::best(),
        y,
        d,
        #[inline(always)]
        |row, y| {
            let (sequence, step) = (row / t, row % t);
            match (step.checked_sub(by), state) {
                (Some(from), _) => y.copy_from_slice(&x[(sequence * t + from) * d..][..d]),
                (None, Some(state)) => {
                    y.copy_from_slice(&state[(sequence * lag + lag + step - by) * d..][..d]);
                }
                (None, None) => y.fill(0.0),
            }
        },
    );
}

/// `dx[t] (+)= dy[t + by]`; `dstate += ` what reached the state, if it is not empty.
pub fn delay_grad(dy: &[f32], dx: &mut [f32], dstate: &mut [f32], delay: Delay, add: bool) {
    let Delay { size, lag, by } = delay;
    let Size { t, d, .. } = size;
    each_row(
        Level::best(),
        dx,
        d,
        #[inline(always)]
        |row, dx| {
            let (sequence, step) = (row / t, row % t + by);
            if step < t {
                let dy = &dy[(sequence * t + step) * d..][..d];
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| put(dx, *dy, add));
            } else if !add {
                dx.fill(0.0);
            }
        },
    );
    for (sequence, dstate) in dstate.chunks_exact_mut(lag * d).enumerate() {
        for step in 0..by.min(t) {
            let dy = &dy[(sequence * t + step) * d..][..d];
            let to = &mut dstate[(lag + step - by) * d..][..d];
            to.iter_mut().zip(dy).for_each(|(to, dy)| *to += *dy);
        }
    }
}

/// The row of `[B T, W]` that is the last of a sequence.
fn last_row(sequence: usize, lens: Option<&[u32]>, t: usize) -> usize {
    sequence * t + lens.map_or(t, |lens| lens[sequence] as usize) - 1
}

/// `[B,T,W]` to `[B,W]`: with lengths, step `len - 1`.
pub fn last(x: &[f32], lens: Option<&[u32]>, y: &mut [f32], size: Size) {
    for (sequence, y) in y.chunks_exact_mut(size.d).enumerate() {
        let row = last_row(sequence, lens, size.t);
        y.copy_from_slice(&x[row * size.d..][..size.d]);
    }
}

/// `average += share (x - average)`, all of x where `share` is 1.
pub fn average(x: &[f32], average: &mut [f32], share: f32) {
    for (average, x) in average.iter_mut().zip(x) {
        *average = match share == 1.0 {
            true => *x,
            false => *average + share * (*x - *average),
        };
    }
}

/// The last `lag` rows of each sequence of x `[B,T,W]`, `[B,lag,W]`; where it has fewer, those of `before`, or zeros.
pub fn keep(x: &[f32], before: Option<&[f32]>, y: &mut [f32], size: Size, lag: usize) {
    let Size { t, d, .. } = size;
    for (i, y) in y.chunks_exact_mut(d).enumerate() {
        let (sequence, row) = (i / lag, i % lag);
        match ((t + row).checked_sub(lag), before) {
            (Some(from), _) => y.copy_from_slice(&x[(sequence * t + from) * d..][..d]),
            (None, Some(before)) => {
                y.copy_from_slice(&before[(sequence * lag + t + row) * d..][..d]);
            }
            (None, None) => y.fill(0.0),
        }
    }
}

/// dy at the last step, else 0; or added to what is there.
pub fn last_grad(dy: &[f32], lens: Option<&[u32]>, dx: &mut [f32], size: Size, add: bool) {
    if !add {
        fill(dx, 0.0);
    }
    for (sequence, dy) in dy.chunks_exact(size.d).enumerate() {
        let row = last_row(sequence, lens, size.t);
        let to = &mut dx[row * size.d..][..size.d];
        to.iter_mut().zip(dy).for_each(|(to, dy)| *to += *dy);
    }
}

/// Every element becomes `value`.
fn fill(to: &mut [f32], value: f32) {
    let elements = to.len();
    each_chunk(Level::best(), to, CHUNK, elements, |_, to| to.fill(value));
}

/// The sum over the channels of each row, or their mean.
pub fn reduce(kind: Reduction, x: &[f32], y: &mut [f32]) {
    let width = x.len() / y.len();
    let by = divisor(kind, width);
    each_row(
        Level::best(),
        y,
        1,
        #[inline(always)]
        |row, y| y[0] = sum(&x[row * width..][..width], |x| x) / by,
    );
}

/// `dx (+)= dy`, of a mean `dy / width`.
pub fn reduce_grad(kind: Reduction, dy: &[f32], dx: &mut [f32], add: bool) {
    let width = dx.len() / dy.len();
    let by = divisor(kind, width);
    each_row(
        Level::best(),
        dx,
        width,
        #[inline(always)]
        |row, dx| {
            let d = dy[row] / by;
            dx.iter_mut().for_each(|dx| put(dx, d, add));
        },
    );
}

/// Every row becomes `p`.
pub fn repeat(p: &[f32], y: &mut [f32]) {
    each_row(Level::best(), y, p.len(), |_, y| y.copy_from_slice(p));
}

/// Each `block` neighbouring channels, `times` times one after the other.
pub fn repeat_channels(x: &[f32], y: &mut [f32], block: usize, times: usize) {
    each_row(
        Level::best(),
        y,
        block * times,
        #[inline(always)]
        |group, y| {
            let x = &x[group * block..][..block];
            for y in y.chunks_exact_mut(block) {
                y.copy_from_slice(x);
            }
        },
    );
}

/// `dx (+)=` the sum over the copies of [`repeat_channels`].
pub fn repeat_channels_grad(dy: &[f32], dx: &mut [f32], block: usize, times: usize, add: bool) {
    each_row(
        Level::best(),
        dx,
        block,
        #[inline(always)]
        |group, dx| {
            let dy = &dy[group * block * times..][..block * times];
            if !add {
                dx.fill(0.0);
            }
            for dy in dy.chunks_exact(block) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy);
            }
        },
    );
}
