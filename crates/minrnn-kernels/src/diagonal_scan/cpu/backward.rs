//! Backward.

use super::coefficients::{back, coefficients};
use super::{Block, Channel, EVERY, Grads, Inputs, gather, parts, stretch, tasks};
use crate::diagonal_scan::Size;
use crate::dispatch::Level;
use crate::math::{Float, sum2};
use crate::parallel::{Shared, each_task};

/// What tasks write, none twice.
struct Sink<'a, T> {
    x: Shared<'a, T>,
    h0: Option<Shared<'a, T>>,
    /// `[B,D,6 N/2]`, `[B,D]`.
    coefficients: Shared<'a, T>,
    skip: Shared<'a, T>,
}

/// What tasks read.
#[derive(Clone, Copy)]
struct Read<'a, T> {
    inputs: &'a Inputs<'a, T>,
    coefficients: &'a [T],
    marks: &'a [T],
    dy: &'a [T],
    /// Of the last states, and the steps of each sequence.
    last: Option<(&'a [T], Option<&'a [u32]>)>,
    size: Size,
}

/// The gradients, given the marks of the forward pass, the gradient `dy` of y and that of the last states, which are those after
/// `lens` steps (absent: after all T).
pub(crate) fn backward<T: Float>(
    level: Level,
    inputs: &Inputs<'_, T>,
    marks: &[T],
    dy: &[T],
    last: Option<(&[T], Option<&[u32]>)>,
    size: Size,
    mut to: Grads<'_, T>,
) {
    let coefficients = coefficients(level, inputs, size);
    let mut sums = vec![T::ZERO; size.batch * 6 * size.wide()];
    let mut skips = vec![T::ZERO; size.batch * size.channels];
    let sink = Sink {
        x: Shared::new(to.x),
        h0: to.h0.take().map(Shared::new),
        coefficients: Shared::new(&mut sums),
        skip: Shared::new(&mut skips),
    };
    let read = Read {
        inputs,
        coefficients: &coefficients,
        marks,
        dy,
        last,
        size,
    };
    each_task(tasks(size), size.rows() * size.state(), |task| {
        let block = Block::of(task, size);
        level.run(
            #[inline(always)]
            || Task::new(read, block, &sink).run(),
        );
    });
    let to = Grads { x: &mut [], ..to };
    back(inputs, &sums, &skips, size, to);
}

/// The backward pass of one block.
struct Task<'a, T> {
    read: Read<'a, T>,
    block: Block,
    out: &'a Sink<'a, T>,
    /// One channel's states before each step of a stretch, and after the last.
    states: Vec<T>,
    /// Of each channel the gradient that comes from later steps, and sums over steps.
    carry: Vec<T>,
    sums: Vec<T>,
    skips: Vec<T>,
    /// One channel's sums over a stretch, and its gradient of h.
    part: Vec<T>,
    g: Vec<T>,
    /// Of each channel, a stretch of steps: x, the gradient of y, and that of x.
    x: Vec<T>,
    dy: Vec<T>,
    dx: Vec<T>,
}

impl<'a, T: Float> Task<'a, T> {
    fn new(read: Read<'a, T>, block: Block, out: &'a Sink<'a, T>) -> Self {
        let n = read.size.pairs;
        let zeros = |len: usize| vec![T::ZERO; len];
        Self {
            read,
            block,
            out,
            states: zeros((EVERY.min(read.size.time) + 1) * 2 * n),
            carry: zeros(block.len * 2 * n),
            sums: zeros(block.len * 6 * n),
            skips: zeros(block.len),
            part: zeros(6 * n),
            g: zeros(2 * n),
            x: zeros(block.len * EVERY),
            dy: zeros(block.len * EVERY),
            dx: zeros(block.len * EVERY),
        }
    }

    #[inline(always)]
    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    fn run(mut self) {
        let (size, block) = (self.read.size, self.block);
        for at in (0..size.time.div_ceil(EVERY)).rev() {
            let (steps, row) = stretch(block, at, size);
            gather(self.read.inputs.x, row, steps, block, size, &mut self.x);
            gather(self.read.dy, row, steps, block, size, &mut self.dy);
            for i in 0..block.len {
                self.recompute(at, i, steps);
                self.back(at, i, steps);
            }
            for s in 0..steps {
                let to = (row + s) * size.channels + block.from;
                // SAFETY: this block of this row, which only this task writes.
                let to = unsafe { self.out.x.part(to, block.len) };
                to.iter_mut()
                    .enumerate()
                    .for_each(|(i, to)| *to = self.dx[i * EVERY + s]);
            }
        }
        self.finish();
    }

    /// The states of a stretch of steps of a channel, from the one that was kept before it.
    #[inline(always)]
    fn recompute(&mut self, at: usize, i: usize, steps: usize) {
        let Read { inputs, size, .. } = self.read;
        let (n, channel) = (size.pairs, self.block.from + i);
        let (first, rest) = self.states.split_at_mut(2 * n);
        let (from, of) = match at {
            0 => (self.block.sequence, inputs.h0),
            _ => {
                let mark = self.block.sequence * size.kept() + at - 1;
                (mark, Some(self.read.marks))
            }
        };
        let [re, im] = parts(from * size.state(), channel, size);
        match of {
            None => first.fill(T::ZERO),
            Some(of) => {
                first[..n].copy_from_slice(&of[re..][..n]);
                first[n..].copy_from_slice(&of[im..][..n]);
            }
        }
        let own = Channel::of(self.read.coefficients, inputs.skip, channel, size);
        own.advance(self.x[i * EVERY], first, &mut rest[..2 * n]);
        for s in 1..steps {
            let (before, now) = rest[(s - 1) * 2 * n..][..4 * n].split_at_mut(2 * n);
            own.advance(self.x[i * EVERY + s], before, now);
        }
    }

    /// A stretch of steps of a channel.
    #[inline(always)]
    fn back(&mut self, at: usize, i: usize, steps: usize) {
        let Read { inputs, size, .. } = self.read;
        let (n, channel) = (size.pairs, self.block.from + i);
        let own = Channel::of(self.read.coefficients, inputs.skip, channel, size);
        let (mut skip, end) = (T::ZERO, self.end());
        self.part.fill(T::ZERO);
        for s in (0..steps).rev() {
            if end == Some(at * EVERY + s + 1) {
                self.add_last(i);
            }
            let (x, d) = (self.x[i * EVERY + s], self.dy[i * EVERY + s]);
            let (before, now) = self.states[s * 2 * n..][..4 * n].split_at(2 * n);
            let slopes = Slopes {
                own,
                x,
                d,
                before,
                now,
            };
            let carry = &mut self.carry[i * 2 * n..][..2 * n];
            slopes.apply(carry, &mut self.part, &mut self.g);
            let re = sum2(&self.g[..n], own.input[0], |g, b| g * b);
            let im = sum2(&self.g[n..], own.input[1], |g, b| g * b);
            self.dx[i * EVERY + s] = re + im + d * own.skip;
            skip += d * x;
        }
        self.skips[i] += skip;
        let sums = &mut self.sums[i * 6 * n..][..6 * n];
        sums.iter_mut()
            .zip(&self.part)
            .for_each(|(sum, part)| *sum += *part);
    }

    /// The steps after which the last state has a gradient.
    fn end(&self) -> Option<usize> {
        let (_, lens) = self.read.last?;
        let time = self.read.size.time;
        Some(lens.map_or(time, |lens| lens[self.block.sequence] as usize))
    }

    /// The gradient of a channel's state after a sequence's last step.
    fn add_last(&mut self, i: usize) {
        let (size, block) = (self.read.size, self.block);
        let Some((last, _)) = self.read.last else {
            return;
        };
        let n = size.pairs;
        let from = parts(block.sequence * size.state(), block.from + i, size);
        let carry = self.carry[i * 2 * n..][..2 * n].chunks_exact_mut(n);
        for (carry, from) in carry.zip(from) {
            let pairs = carry.iter_mut().zip(&last[from..][..n]);
            pairs.for_each(|(carry, d)| *carry += *d);
        }
    }

    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    fn finish(self) {
        let (size, block) = (self.read.size, self.block);
        let n = size.pairs;
        let first = block.sequence * size.channels + block.from;
        // SAFETY: this block of this sequence, which only this task writes.
        unsafe {
            let to = self.out.coefficients.part(first * 6 * n, self.sums.len());
            to.copy_from_slice(&self.sums);
            let to = self.out.skip.part(first, block.len);
            to.copy_from_slice(&self.skips);
        }
        let Some(h0) = &self.out.h0 else { return };
        for (i, carry) in self.carry.chunks_exact(2 * n).enumerate() {
            let to = parts(block.sequence * size.state(), block.from + i, size);
            for (to, part) in to.into_iter().zip(carry.chunks_exact(n)) {
                // SAFETY: the same.
                unsafe { h0.part(to, n) }.copy_from_slice(part);
            }
        }
    }
}

/// One step of one channel.
struct Slopes<'a, T> {
    own: Channel<'a, T>,
    x: T,
    d: T,
    before: &'a [T],
    now: &'a [T],
}

impl<T: Float> Slopes<'_, T> {
    /// With `g = carry + d read` the gradient of h: adds to those of the coefficients, gives g, and leaves g times the conjugate of the
    /// decay in `carry`.
    #[inline(always)]
    fn apply(&self, carry: &mut [T], sums: &mut [T], g: &mut [T]) {
        let n = self.own.decay[0].len();
        let (Self { x, d, .. }, [ar, ai], [cr, ci]) = (self, self.own.decay, self.own.read);
        let (ar, ai, cr, ci) = (&ar[..n], &ai[..n], &cr[..n], &ci[..n]);
        let (pr, pi) = (&self.before[..n], &self.before[n..][..n]);
        let (hr, hi) = (&self.now[..n], &self.now[n..][..n]);
        let (carry_re, carry_im) = carry.split_at_mut(n);
        let carry_im = &mut carry_im[..n];
        let (g_re, g_im) = g.split_at_mut(n);
        let g_im = &mut g_im[..n];
        for k in 0..n {
            let (re, im) = (carry_re[k] + *d * cr[k], carry_im[k] + *d * ci[k]);
            (g_re[k], g_im[k]) = (re, im);
            (carry_re[k], carry_im[k]) = (re * ar[k] + im * ai[k], im * ar[k] - re * ai[k]);
        }
        let (of_decay, rest) = sums.split_at_mut(2 * n);
        let (of_input, of_read) = rest.split_at_mut(2 * n);
        let (dar, dai) = of_decay.split_at_mut(n);
        let dai = &mut dai[..n];
        for k in 0..n {
            dar[k] += g_re[k] * pr[k] + g_im[k] * pi[k];
            dai[k] += g_im[k] * pr[k] - g_re[k] * pi[k];
        }
        let (dbr, dbi) = of_input.split_at_mut(n);
        let dbi = &mut dbi[..n];
        for k in 0..n {
            dbr[k] += g_re[k] * *x;
            dbi[k] += g_im[k] * *x;
        }
        let (dcr, dci) = of_read.split_at_mut(n);
        let dci = &mut dci[..n];
        for k in 0..n {
            dcr[k] += *d * hr[k];
            dci[k] += *d * hi[k];
        }
    }
}
