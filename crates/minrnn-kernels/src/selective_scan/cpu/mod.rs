//! The selective scan on the CPU: a task is a block of channels of one sequence, whose states stay in the cache through all steps.
//!
//! The states before every [`Size::every`]th step are kept (`marks`), those between them are computed again
//! in the backward pass. Blocks follow from the sizes, and sums over blocks and sequences go in their order: the bits depend on no number
//! of threads.

mod backward;
mod forward;

pub use backward::Grads;
pub(crate) use backward::backward;
pub(crate) use forward::{Out, forward};

use super::Size;
use crate::math::Float;

/// Rows of a matrix, which begin `stride` elements after each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    /// From the first element of the first row on.
    pub data: &'a [T],
    /// Elements from a row to the next.
    pub stride: usize,
}

impl<'a, T> Rows<'a, T> {
    #[inline(always)]
    pub(super) fn part(&self, row: usize, from: usize, len: usize) -> &'a [T] {
        &self.data[row * self.stride + from..][..len]
    }
}

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// Step sizes, H in each of B T rows.
    pub step: Rows<'a, T>,
    /// D in each row.
    pub x: Rows<'a, T>,
    /// G N in each row.
    pub b: Rows<'a, T>,
    /// G N in each row.
    pub c: Rows<'a, T>,
    /// Logarithms of the rates, `[D N]` or `[H]`.
    pub log_rates: &'a [T],
    /// `[H]`.
    pub skip: &'a [T],
    /// `[B,D N]`; absent: zeros.
    pub h0: Option<&'a [T]>,
}

/// A block of channels of one sequence.
#[derive(Clone, Copy)]
struct Block {
    sequence: usize,
    group: usize,
    /// Its number in its group.
    index: usize,
    /// First channel, and channels.
    from: usize,
    len: usize,
}

impl Block {
    /// The block of a task, which are numbered by sequence, group, block.
    fn of(task: usize, size: Size) -> Self {
        let blocks = size.blocks();
        let (index, group) = (task % blocks, task / blocks % size.groups);
        let start = index * size.block();
        Self {
            sequence: task / blocks / size.groups,
            group,
            index,
            from: group * size.group_channels() + start,
            len: size.block().min(size.group_channels() - start),
        }
    }
    /// Where its states begin among those of all sequences, and how many they are.
    fn states(self, size: Size) -> (usize, usize) {
        let first = self.sequence * size.wide() + self.from * size.states;
        (first, self.len * size.states)
    }
}

fn tasks(size: Size) -> usize {
    size.batch * size.groups * size.blocks()
}

/// A = -exp(A_log).
fn rates<T: Float>(log_rates: &[T]) -> Vec<T> {
    let rate = |log: &T| -T::of(libm::exp(log.wide()));
    log_rates.iter().map(rate).collect()
}

/// The rates of a channel: one, or one a state.
#[inline(always)]
fn rates_of<T>(rates: &[T], size: Size, channel: usize) -> &[T] {
    if size.shared {
        &rates[channel / size.head_channels()..][..1]
    } else {
        &rates[channel * size.states..][..size.states]
    }
}

/// `decays[k] = exp(step A[k])`, or the one for all.
#[inline(always)]
fn decays<T: Float>(step: T, rates: &[T], decays: &mut [T]) {
    let n = decays.len();
    // A is never positive. Only a step size that is negative, or no number, leaves the domain of the fast exponential.
    let exp = |x: T| T::of(libm::exp(x.wide()));
    match (rates, step >= T::ZERO) {
        ([one], true) => decays.fill((step * *one).exp_neg()),
        ([one], false) => decays.fill(exp(step * *one)),
        (_, true) => {
            let rates = &rates[..n];
            for k in 0..n {
                decays[k] = (step * rates[k]).exp_neg();
            }
        }
        (_, false) => {
            for (decay, rate) in decays.iter_mut().zip(rates) {
                *decay = exp(step * *rate);
            }
        }
    }
}

/// One step of a channel: `h = decay h + fed b`, products and sums rounded.
#[inline(always)]
fn advance<T: Float>(decays: &[T], fed: T, b: &[T], before: &[T], h: &mut [T]) {
    let n = h.len();
    let (decays, b, before) = (&decays[..n], &b[..n], &before[..n]);
    for k in 0..n {
        h[k] = decays[k] * before[k] + fed * b[k];
    }
}

/// The scan in f32, for a caller with memory of its own: y `[B,T,D]` and, where they are wanted, the last states `[B,D N]` and the states
/// that [`backward_f32`] needs, [`Size::marks`].
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

/// The gradients of [`forward_f32`], given its marks and the gradient `dy` of y.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn backward_f32(inputs: &Inputs<'_, f32>, marks: &[f32], dy: &[f32], size: Size) -> Grads<f32> {
    backward(
        crate::dispatch::Level::best(),
        inputs,
        marks,
        dy,
        None,
        size,
    )
}
