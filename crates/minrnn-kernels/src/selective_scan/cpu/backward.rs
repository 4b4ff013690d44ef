//! Backward.

use super::{Block, Inputs, advance, decays, rates, rates_of, tasks};
use crate::dispatch::Level;
use crate::math::{Float, sum, sum2};
use crate::parallel::{CHUNK, Shared, each_chunk, each_task};
use crate::selective_scan::Size;

/// Gradients, each shaped as what it belongs to, without gaps between rows.
#[derive(Debug)]
pub struct Grads<T> {
    /// Of the step sizes.
    pub step: Vec<T>,
    /// Of x.
    pub x: Vec<T>,
    /// Of b.
    pub b: Vec<T>,
    /// Of c.
    pub c: Vec<T>,
    /// Of the logarithms of the rates.
    pub log_rates: Vec<T>,
    /// Of the skip.
    pub skip: Vec<T>,
    /// Of h0, or of the zeros in its place.
    pub h0: Vec<T>,
}

/// What tasks write, none twice: gradients, and parts of those that are sums over sequences or over blocks.
struct Sink<'a, T> {
    step: Shared<'a, T>,
    x: Shared<'a, T>,
    h0: Shared<'a, T>,
    /// `[blocks,B,T,G N]`.
    b: Shared<'a, T>,
    c: Shared<'a, T>,
    /// `[B,rates]`, `[B,H]`.
    rates: Shared<'a, T>,
    skip: Shared<'a, T>,
}

/// What tasks read.
#[derive(Clone, Copy)]
struct Read<'a, T> {
    inputs: &'a Inputs<'a, T>,
    rates: &'a [T],
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
) -> Grads<T> {
    let zeros = |len: usize| vec![T::ZERO; len];
    let rates = rates(inputs.log_rates);
    let (rows, parts) = (size.rows(), size.blocks() * size.rows() * size.read());
    let (mut step, mut x) = (zeros(rows * size.heads), zeros(rows * size.channels));
    let mut h0 = zeros(size.batch * size.wide());
    let (mut b, mut c) = (zeros(parts), zeros(parts));
    let mut of_rates = zeros(size.batch * rates.len());
    let mut skip = zeros(size.batch * size.heads);
    let sink = Sink {
        step: Shared::new(&mut step),
        x: Shared::new(&mut x),
        h0: Shared::new(&mut h0),
        b: Shared::new(&mut b),
        c: Shared::new(&mut c),
        rates: Shared::new(&mut of_rates),
        skip: Shared::new(&mut skip),
    };
    let read = Read {
        inputs,
        rates: &rates,
        marks,
        dy,
        last,
        size,
    };
    each_task(tasks(size), rows * size.wide(), |task| {
        let block = Block::of(task, size);
        level.run(
            #[inline(always)]
            || Task::new(read, block, &sink).run(),
        );
    });
    let mut log_rates = fold(level, of_rates, rates.len());
    let pairs = log_rates.iter_mut().zip(&rates);
    pairs.for_each(|(d, rate)| *d *= *rate);
    Grads {
        step,
        x,
        b: fold(level, b, rows * size.read()),
        c: fold(level, c, rows * size.read()),
        log_rates,
        skip: fold(level, skip, size.heads),
        h0,
    }
}

/// The sum of parts of `width` elements, in their order.
fn fold<T: Float>(level: Level, mut parts: Vec<T>, width: usize) -> Vec<T> {
    let (sum, rest) = parts.split_at_mut(width);
    let elements = rest.len();
    each_chunk(
        level,
        sum,
        CHUNK,
        elements,
        #[inline(always)]
        |from, sum| {
            for part in rest.chunks_exact(width) {
                let part = &part[from..][..sum.len()];
                for (s, p) in sum.iter_mut().zip(part) {
                    *s += *p;
                }
            }
        },
    );
    parts.truncate(width);
    parts
}

/// The backward pass of one block.
struct Task<'a, T> {
    read: Read<'a, T>,
    block: Block,
    out: &'a Sink<'a, T>,
    /// The states before each step of a stretch, and after the last.
    states: Vec<T>,
    /// The gradient that comes from later steps.
    carry: Vec<T>,
    rates: Vec<T>,
    skip: Vec<T>,
    decay: Vec<T>,
    /// Of one channel: the gradient of h, and that of step times rate.
    g: Vec<T>,
    q: Vec<T>,
}

impl<'a, T: Float> Task<'a, T> {
    fn new(read: Read<'a, T>, block: Block, out: &'a Sink<'a, T>) -> Self {
        let size = read.size;
        let (n, count) = (size.states, block.len * size.states);
        let zeros = |len: usize| vec![T::ZERO; len];
        let heads = block.len / size.head_channels();
        Self {
            read,
            block,
            out,
            states: zeros((size.every().min(size.time) + 1) * count),
            carry: zeros(count),
            rates: zeros(if size.shared { heads } else { count }),
            skip: zeros(heads),
            decay: zeros(n),
            g: zeros(n),
            q: zeros(n),
        }
    }

    #[inline(always)]
    fn run(mut self) {
        let (time, every) = (self.read.size.time, self.read.size.every());
        for stretch in (0..time.div_ceil(every)).rev() {
            let from = stretch * every;
            let steps = every.min(time - from);
            self.recompute(stretch, from, steps);
            for s in (0..steps).rev() {
                self.step(from + s, s);
            }
        }
        self.finish();
    }

    /// The states of a stretch of steps, from the one that was kept before it.
    #[inline(always)]
    fn recompute(&mut self, stretch: usize, from: usize, steps: usize) {
        let (inputs, size, block) = (self.read.inputs, self.read.size, self.block);
        let (n, count) = (size.states, self.carry.len());
        let first = &mut self.states[..count];
        match (stretch, inputs.h0) {
            (0, None) => first.fill(T::ZERO),
            (0, Some(h0)) => first.copy_from_slice(&h0[block.states(size).0..][..count]),
            _ => {
                let mark = block.sequence * size.kept() + stretch - 1;
                let at = mark * size.wide() + block.from * n;
                first.copy_from_slice(&self.read.marks[at..][..count]);
            }
        }
        for s in 0..steps {
            let row = block.sequence * size.time + from + s;
            let b = inputs.b.part(row, block.group * n, n);
            let x = inputs.x.part(row, block.from, block.len);
            let steps = inputs.step.part(row, 0, size.heads);
            let (before, now) = self.states[s * count..][..2 * count].split_at_mut(count);
            for (i, x) in x.iter().enumerate() {
                let channel = block.from + i;
                let step = steps[channel / size.head_channels()];
                let of = rates_of(self.read.rates, size, channel);
                decays(step, of, &mut self.decay);
                let at = i * n;
                let now = &mut now[at..][..n];
                advance(&self.decay, step * *x, b, &before[at..][..n], now);
            }
        }
    }

    /// Step t, the s-th of its stretch.
    #[inline(always)]
    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    fn step(&mut self, t: usize, s: usize) {
        let Read { inputs, size, .. } = self.read;
        let (block, n, count) = (self.block, size.states, self.carry.len());
        let row = block.sequence * size.time + t;
        self.add_last(t);
        let part = (block.index * size.rows() + row) * size.read() + block.group * n;
        // SAFETY: rows, channels, heads and parts of this block of this sequence, which only this task writes.
        let (db, dc, dx, dstep) = unsafe {
            let heads = size.head_channels();
            (
                self.out.b.part(part, n),
                self.out.c.part(part, n),
                self.out.x.part(row * size.channels + block.from, block.len),
                self.out
                    .step
                    .part(row * size.heads + block.from / heads, block.len / heads),
            )
        };
        let (b, c) = (
            inputs.b.part(row, block.group * n, n),
            inputs.c.part(row, block.group * n, n),
        );
        let x = inputs.x.part(row, block.from, block.len);
        let steps = inputs.step.part(row, 0, size.heads);
        let dy = &self.read.dy[row * size.channels + block.from..][..block.len];
        let (before, now) = self.states[s * count..][..2 * count].split_at(count);
        for i in 0..block.len {
            let channel = block.from + i;
            let head = channel / size.head_channels();
            let own = i / size.head_channels();
            let rates = rates_of(self.read.rates, size, channel);
            let (step, fed) = (steps[head], steps[head] * x[i]);
            decays(step, rates, &mut self.decay);
            let at = i * n;
            let slopes = Slopes {
                dy: dy[i],
                fed,
                c,
                decay: &self.decay,
                before: &before[at..][..n],
                now: &now[at..][..n],
            };
            let carry = &mut self.carry[at..][..n];
            slopes.apply(carry, db, dc, &mut self.g, &mut self.q);
            let dfed = sum2(&self.g, b, |g, b| g * b);
            let along = if size.shared {
                let all = sum(&self.q, |q| q);
                self.rates[own] += all * step;
                all * rates[0]
            } else {
                let to = &mut self.rates[at..][..n];
                for (to, q) in to.iter_mut().zip(&self.q) {
                    *to += *q * step;
                }
                sum2(&self.q, rates, |q, rate| q * rate)
            };
            dx[i] = dfed * step + dy[i] * inputs.skip[head];
            dstep[own] += dfed * x[i] + along;
            self.skip[own] += dy[i] * x[i];
        }
    }

    /// The gradient of the state after a sequence's last step.
    #[inline(always)]
    fn add_last(&mut self, t: usize) {
        let (size, block) = (self.read.size, self.block);
        let Some((last, lens)) = self.read.last else {
            return;
        };
        let len = lens.map_or(size.time, |lens| lens[block.sequence] as usize);
        if t + 1 == len {
            let (first, count) = block.states(size);
            let pairs = self.carry.iter_mut().zip(&last[first..][..count]);
            pairs.for_each(|(carry, d)| *carry += *d);
        }
    }

    #[allow(
        unsafe_code,
        reason = "strided blocks of one output, written by several threads"
    )]
    fn finish(self) {
        let (size, block) = (self.read.size, self.block);
        let head = block.from / size.head_channels();
        let rate = if size.shared {
            head
        } else {
            block.from * size.states
        };
        let (first, count) = block.states(size);
        // SAFETY: this block of this sequence, which only this task writes.
        unsafe {
            let to = self.out.h0.part(first, count);
            to.copy_from_slice(&self.carry);
            let at = block.sequence * self.read.rates.len() + rate;
            let to = self.out.rates.part(at, self.rates.len());
            to.copy_from_slice(&self.rates);
            let at = block.sequence * size.heads + head;
            let to = self.out.skip.part(at, self.skip.len());
            to.copy_from_slice(&self.skip);
        }
    }
}

/// One step of one channel.
struct Slopes<'a, T> {
    dy: T,
    fed: T,
    c: &'a [T],
    decay: &'a [T],
    before: &'a [T],
    now: &'a [T],
}

impl<T: Float> Slopes<'_, T> {
    /// With `g = carry + dy c` the gradient of h: adds to those of b and c, gives g and `q = g before decay`, that of step times rate, and
    /// leaves `g decay` in `carry`.
    #[inline(always)]
    fn apply(&self, carry: &mut [T], db: &mut [T], dc: &mut [T], g: &mut [T], q: &mut [T]) {
        let n = carry.len();
        let (c, decay) = (&self.c[..n], &self.decay[..n]);
        let (before, now) = (&self.before[..n], &self.now[..n]);
        let (db, dc, g, q) = (&mut db[..n], &mut dc[..n], &mut g[..n], &mut q[..n]);
        for k in 0..n {
            let own = carry[k] + self.dy * c[k];
            dc[k] += self.dy * now[k];
            db[k] += own * self.fed;
            let kept = own * decay[k];
            g[k] = own;
            q[k] = kept * before[k];
            carry[k] = kept;
        }
    }
}
