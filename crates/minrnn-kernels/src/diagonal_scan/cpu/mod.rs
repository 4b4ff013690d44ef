//! The diagonal scan on the CPU: a task is a block of channels of one sequence; a channel goes through [`EVERY`](super::EVERY) steps with
//! its states in the cache, then the next one does.
//!
//! The states before steps [`EVERY`](super::EVERY), 2 [`EVERY`](super::EVERY), .. are kept (`marks`), those between them are computed again
//! in the backward pass. Channels share no sum, and sums over sequences go in their order: the bits depend on no number of threads.

mod backward;
mod coefficients;
mod forward;

pub(crate) use backward::backward;
pub(crate) use forward::{Out, forward};

use super::{EVERY, Size};
use crate::math::{Float, sum2};

/// Channels of a block: those of a line of the cache.
const BLOCK: usize = 16;

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// `[B,T,D]`.
    pub x: &'a [T],
    /// Logarithms of the step sizes, `[D]`.
    pub log_step: &'a [T],
    /// Logarithms of -re A, `[D N/2]`.
    pub log_rates: &'a [T],
    /// im A, `[D N/2]`.
    pub frequencies: &'a [T],
    /// C, `[re | im]`, `[D N]`.
    pub readout: &'a [T],
    /// `[D]`.
    pub skip: &'a [T],
    /// `[re | im]`, `[B,D N]`; absent: zeros.
    pub h0: Option<&'a [T]>,
}

/// A block of channels of one sequence.
#[derive(Clone, Copy)]
struct Block {
    sequence: usize,
    /// First channel, and channels.
    from: usize,
    len: usize,
}

impl Block {
    /// The block of a task, which are numbered by sequence, block.
    fn of(task: usize, size: Size) -> Self {
        let blocks = size.channels.div_ceil(BLOCK);
        let from = task % blocks * BLOCK;
        Self {
            sequence: task / blocks,
            from,
            len: BLOCK.min(size.channels - from),
        }
    }
}

fn tasks(size: Size) -> usize {
    size.batch * size.channels.div_ceil(BLOCK)
}

/// Where the parts of one channel's states lie in a state `[re | im]` of all channels that begins at `from`.
fn parts(from: usize, channel: usize, size: Size) -> [usize; 2] {
    let re = from + channel * size.pairs;
    [re, re + size.wide()]
}

/// The steps of a stretch, and the first one's row.
fn stretch(block: Block, stretch: usize, size: Size) -> (usize, usize) {
    let from = stretch * EVERY;
    let steps = EVERY.min(size.time - from);
    (steps, block.sequence * size.time + from)
}

/// `[D]` of each row from `row` on to one channel's steps after the other's, each [`EVERY`] long.
fn gather<T: Float>(x: &[T], row: usize, steps: usize, block: Block, size: Size, to: &mut [T]) {
    for s in 0..steps {
        let x = &x[(row + s) * size.channels + block.from..][..block.len];
        for (i, x) in x.iter().enumerate() {
            to[i * EVERY + s] = *x;
        }
    }
}

/// Of one channel: the parts of its decays, of what x is multiplied by, and of what h is read by.
#[derive(Clone, Copy)]
struct Channel<'a, T> {
    decay: [&'a [T]; 2],
    input: [&'a [T]; 2],
    read: [&'a [T]; 2],
    skip: T,
}

impl<'a, T: Float> Channel<'a, T> {
    /// Of the coefficients of all channels.
    fn of(all: &'a [T], skip: &[T], channel: usize, size: Size) -> Self {
        let n = size.pairs;
        let part = |p: usize| &all[(channel * 6 + p) * n..][..n];
        Self {
            decay: [part(0), part(1)],
            input: [part(2), part(3)],
            read: [part(4), part(5)],
            skip: skip[channel],
        }
    }

    /// One step: `h = decay h + input x`, products and sums rounded.
    #[inline(always)]
    fn advance(&self, x: T, before: &[T], now: &mut [T]) {
        let n = self.decay[0].len();
        let (hr, hi) = (&before[..n], &before[n..][..n]);
        let (re, im) = now.split_at_mut(n);
        let im = &mut im[..n];
        let ([ar, ai], [br, bi]) = (self.decay, self.input);
        let (ar, ai, br, bi) = (&ar[..n], &ai[..n], &br[..n], &bi[..n]);
        for k in 0..n {
            re[k] = hr[k] * ar[k] - hi[k] * ai[k] + br[k] * x;
            im[k] = hr[k] * ai[k] + hi[k] * ar[k] + bi[k] * x;
        }
    }

    /// What is read of a state.
    #[inline(always)]
    fn read(&self, x: T, h: &[T]) -> T {
        let n = self.decay[0].len();
        let re = sum2(&h[..n], self.read[0], |h, c| h * c);
        let im = sum2(&h[n..][..n], self.read[1], |h, c| h * c);
        re + im + x * self.skip
    }
}

/// The scan in f32, for a caller with memory of its own: y `[B,T,D]` and, where they are wanted, the states that
/// [`backward_f32`] needs, [`Size::marks`].
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn forward_f32(
    inputs: &Inputs<'_, f32>,
    size: Size,
    y: &mut [f32],
    last: Option<&mut [f32]>,
    marks: Option<&mut [f32]>,
) {
    let out = Out { y, last, marks };
    forward(crate::dispatch::Level::best(), inputs, None, size, out);
}

/// Where gradients go, each shaped as what it belongs to.
#[derive(Debug)]
pub struct Grads<'a, T> {
    /// Of x.
    pub x: &'a mut [T],
    /// Of the logarithms of the step sizes.
    pub log_step: &'a mut [T],
    /// Of the logarithms of -re A.
    pub log_rates: &'a mut [T],
    /// Of im A.
    pub frequencies: &'a mut [T],
    /// Of C.
    pub readout: &'a mut [T],
    /// Of the skip.
    pub skip: &'a mut [T],
    /// Of h0, if it is wanted.
    pub h0: Option<&'a mut [T]>,
}

/// The gradients of [`forward_f32`], given its marks and the gradient `dy` of y.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn backward_f32(
    inputs: &Inputs<'_, f32>,
    marks: &[f32],
    dy: &[f32],
    size: Size,
    to: Grads<'_, f32>,
) {
    let level = crate::dispatch::Level::best();
    backward(level, inputs, marks, dy, None, size, to);
}
