//! Attention on the CPU: a task is a head of a sequence, which goes through blocks of steps over the rows that they see. The backward pass
//! computes the scores of a block again.
//!
//! Products are those of [`product`], sums over blocks go in their order: the bits depend on no number of threads.

use super::{Mask, Size};
use crate::dispatch::Level;
use crate::math::{Float, max, sum, sum2};
use crate::parallel::{each_chunk, each_row};
use crate::product::{Operand, Scratch, Shape, product};

/// Steps of a block.
const BLOCK: usize = 64;

/// What it reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`.
    pub q: &'a [f32],
    /// `[B,T,2D]`, rows `[k | v]`.
    pub kv: &'a [f32],
    /// Steps since the begin, `[B,T]`.
    pub n: &'a [f32],
    /// The rows before the run, `[B,lag,2D]`; absent: none of them is seen.
    pub window: Option<&'a [f32]>,
}

/// A head of a sequence: its channels, row behind row.
struct Head {
    /// Divided by the root of P.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// Rows before the run.
    past: usize,
}

/// A block of steps, and the rows that one of them sees.
#[derive(Clone, Copy)]
struct Block {
    from: usize,
    steps: usize,
    first: usize,
    rows: usize,
}

fn plain(values: &[f32]) -> Operand<'_> {
    Operand {
        values,
        transposed: false,
    }
}

fn transposed(values: &[f32]) -> Operand<'_> {
    Operand {
        values,
        transposed: true,
    }
}

impl Inputs<'_> {
    fn check(&self, size: Size) {
        assert_eq!(self.q.len(), size.values(), "q of {size:?}");
        assert_eq!(self.kv.len(), 2 * size.values(), "kv of {size:?}");
        assert_eq!(self.n.len(), size.batch * size.time, "n of {size:?}");
        let window = self.window.map_or(size.window(), <[f32]>::len);
        assert_eq!(window, size.window(), "window of {size:?}");
    }

    /// The channels of a head, of rows that are `width` wide.
    fn channels(rows: &[f32], width: usize, from: usize, p: usize, to: &mut Vec<f32>) {
        for row in rows.chunks_exact(width) {
            to.extend_from_slice(&row[from..][..p]);
        }
    }

    fn head(&self, size: Size, at: usize) -> Head {
        let (sequence, head) = (at / size.heads, at % size.heads);
        let Size {
            time,
            channels: d,
            lag,
            ..
        } = size;
        let p = size.head();
        let mut made = Head {
            q: vec![],
            k: vec![],
            v: vec![],
            past: self.window.map_or(0, |_| lag),
        };
        let own = &self.q[sequence * time * d..][..time * d];
        Self::channels(own, d, head * p, p, &mut made.q);
        let scale = scale(p);
        made.q.iter_mut().for_each(|q| *q *= scale);
        let before = self
            .window
            .map(|w| &w[sequence * lag * 2 * d..][..lag * 2 * d]);
        let own = &self.kv[sequence * time * 2 * d..][..time * 2 * d];
        for rows in before.into_iter().chain([own]) {
            Self::channels(rows, 2 * d, head * p, p, &mut made.k);
            Self::channels(rows, 2 * d, d + head * p, p, &mut made.v);
        }
        made
    }

    /// The first row that a step sees, among those of a head.
    fn first(&self, size: Size, sequence: usize, t: usize) -> usize {
        let past = self.window.map_or(0, |_| size.lag);
        let n = f64::from(self.n[sequence * size.time + t]);
        past + t - size.reach(n, t, past)
    }

    fn block(&self, size: Size, sequence: usize, from: usize) -> Block {
        let steps = BLOCK.min(size.time - from);
        let past = self.window.map_or(0, |_| size.lag);
        let firsts = (from..from + steps).map(|t| self.first(size, sequence, t));
        let first = firsts.min().unwrap_or(0);
        Block {
            from,
            steps,
            first,
            rows: past + from + steps - first,
        }
    }
}

fn scale(p: usize) -> f32 {
    (1.0 / (p as f64).sqrt()) as f32
}

/// Scores `[steps,rows]` of a block.
fn scores(head: &Head, block: Block, p: usize, scratch: &mut Scratch, to: &mut Vec<f32>) {
    let Block {
        from,
        steps,
        first,
        rows,
    } = block;
    to.resize(steps * rows, 0.0);
    let shape = Shape {
        m: steps,
        n: rows,
        k: p,
    };
    let q = &head.q[from * p..][..steps * p];
    let k = &head.k[first * p..][..rows * p];
    product(scratch, shape, [plain(q), transposed(k)], None, to, false);
}

/// y `[B,T,D]`; and the logarithms of the sums of exponentials `[B,H,T]`, where they are wanted.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn forward(
    inputs: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    y: &mut [f32],
    sums: Option<&mut [f32]>,
) {
    inputs.check(size);
    assert_eq!(y.len(), size.values(), "y of {size:?}");
    let (p, time) = (size.head(), size.time);
    // Of each head y, then its sums.
    let each = time * p + time;
    let mut made = vec![0.0; size.batch * size.heads * each];
    let work = 2 * size.values();
    each_chunk(Level::best(), &mut made, each, work, |at, to| {
        let (y, sums) = to.split_at_mut(time * p);
        forward_head(inputs, size, mask, at / each, y, sums);
    });
    let own = |head: usize| &made[head * each..][..each];
    spread(size, 1, y, |head, _, t| &own(head)[t * p..][..p]);
    if let Some(sums) = sums {
        assert_eq!(sums.len(), size.sums(), "sums of {size:?}");
        for (head, sums) in sums.chunks_exact_mut(time).enumerate() {
            sums.copy_from_slice(&own(head)[time * p..]);
        }
    }
}

/// Fills `[B,T,parts D]` from what heads have: `of` gives the channels of a head, a part and a step.
fn spread<'a>(
    size: Size,
    parts: usize,
    to: &mut [f32],
    of: impl Fn(usize, usize, usize) -> &'a [f32] + Sync + Send,
) {
    let Size {
        time,
        heads,
        channels,
        ..
    } = size;
    each_row(Level::best(), to, parts * channels, |row, to| {
        let (sequence, t) = (row / time, row % time);
        for (i, to) in to.chunks_exact_mut(size.head()).enumerate() {
            to.copy_from_slice(of(sequence * heads + i % heads, i / heads, t));
        }
    });
}

fn forward_head(
    inputs: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    at: usize,
    y: &mut [f32],
    sums: &mut [f32],
) {
    let (p, sequence) = (size.head(), at / size.heads);
    let head = inputs.head(size, at);
    let (mut scratch, mut weights, mut factors) = (Scratch::default(), vec![], vec![]);
    for from in (0..size.time).step_by(BLOCK) {
        let block = inputs.block(size, sequence, from);
        let Block {
            steps, first, rows, ..
        } = block;
        scores(&head, block, p, &mut scratch, &mut weights);
        for (i, row) in weights.chunks_exact_mut(rows).enumerate() {
            let t = from + i;
            let begin = inputs.first(size, sequence, t) - first;
            let end = head.past + t + 1 - first;
            let seen = zero_outside(row, begin, end);
            sums[t] = softmax(seen);
            if let Some(mask) = mask {
                factors.resize(seen.len(), 0.0);
                let row = (first + begin) as isize - head.past as isize;
                mask.factors(at, t, row, &mut factors);
                seen.iter_mut().zip(&factors).for_each(|(w, f)| *w *= f);
            }
        }
        let shape = Shape {
            m: steps,
            n: p,
            k: rows,
        };
        let v = &head.v[first * p..][..rows * p];
        let y = &mut y[from * p..][..steps * p];
        product(
            &mut scratch,
            shape,
            [plain(&weights), plain(v)],
            None,
            y,
            false,
        );
    }
}

/// The part of a row that is seen; the rest becomes 0.
fn zero_outside(row: &mut [f32], begin: usize, end: usize) -> &mut [f32] {
    row[..begin].fill(0.0);
    row[end..].fill(0.0);
    &mut row[begin..end]
}

/// Weights in the place of scores; gives the logarithm of the sum of exponentials.
fn softmax(row: &mut [f32]) -> f32 {
    Level::best().run(
        #[inline(always)]
        || {
            let most = max(row);
            row.iter_mut().for_each(|s| *s = (*s - most).exp_neg());
            let total = sum(row, |w| w);
            let share = 1.0 / total;
            row.iter_mut().for_each(|w| *w *= share);
            most + total.ln()
        },
    )
}

/// Gradients of q and kv from that of y; `sums` are those of the forward pass. The rows before the run get none.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn backward(
    inputs: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    [sums, dy]: [&[f32]; 2],
    [dq, dkv]: [&mut [f32]; 2],
) {
    inputs.check(size);
    assert_eq!(
        [sums.len(), dy.len()],
        [size.sums(), size.values()],
        "{size:?}"
    );
    assert_eq!(
        [dq.len(), dkv.len()],
        [size.values(), 2 * size.values()],
        "{size:?}"
    );
    let (p, time) = (size.head(), size.time);
    // Of each head dq, dk, dv.
    let part = time * p;
    let mut made = vec![0.0; 3 * size.values()];
    let work = 2 * size.values();
    each_chunk(Level::best(), &mut made, 3 * part, work, |at, to| {
        let at = at / (3 * part);
        let sums = &sums[at * time..][..time];
        backward_head(inputs, size, mask, at, [sums, dy], to);
    });
    let own = |head: usize, which: usize, t: usize| &made[(3 * head + which) * part + t * p..][..p];
    spread(size, 1, dq, |head, _, t| own(head, 0, t));
    spread(size, 2, dkv, |head, which, t| own(head, 1 + which, t));
}

fn backward_head(
    inputs: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    at: usize,
    [sums, dy]: [&[f32]; 2],
    to: &mut [f32],
) {
    let (p, time, d) = (size.head(), size.time, size.channels);
    let sequence = at / size.heads;
    let head = inputs.head(size, at);
    let mut dout = vec![];
    let own = &dy[sequence * time * d..][..time * d];
    Inputs::channels(own, d, at % size.heads * p, p, &mut dout);
    let rows = head.past + time;
    let (mut dk, mut dv) = (vec![0.0; rows * p], vec![0.0; rows * p]);
    let (dq, rest) = to.split_at_mut(time * p);
    let mut work = Work::default();
    for from in (0..time).step_by(BLOCK) {
        let block = inputs.block(size, sequence, from);
        let Block {
            steps, first, rows, ..
        } = block;
        let dout = &dout[from * p..][..steps * p];
        let slopes = |work: &mut Work, t: usize, row: usize| {
            let begin = inputs.first(size, sequence, t) - first;
            let end = head.past + t + 1 - first;
            let step = (first + begin) as isize - head.past as isize;
            let factors = mask.map(|mask| (mask, at, t, step));
            work.slopes(row * rows, rows, begin..end, sums[t], factors);
        };
        work.products(&head, block, p, dout);
        for i in 0..steps {
            slopes(&mut work, from + i, i);
        }
        let Work {
            scratch,
            weights,
            dweights,
            ..
        } = &mut work;
        let shape = Shape {
            m: rows,
            n: p,
            k: steps,
        };
        let dv = &mut dv[first * p..][..rows * p];
        product(
            scratch,
            shape,
            [transposed(weights), plain(dout)],
            None,
            dv,
            true,
        );
        let q = &head.q[from * p..][..steps * p];
        let dk = &mut dk[first * p..][..rows * p];
        product(
            scratch,
            shape,
            [transposed(dweights), plain(q)],
            None,
            dk,
            true,
        );
        let shape = Shape {
            m: steps,
            n: p,
            k: rows,
        };
        let k = &head.k[first * p..][..rows * p];
        let dq = &mut dq[from * p..][..steps * p];
        product(scratch, shape, [plain(dweights), plain(k)], None, dq, false);
        let scale = scale(p);
        dq.iter_mut().for_each(|q| *q *= scale);
    }
    let (to_k, to_v) = rest.split_at_mut(time * p);
    to_k.copy_from_slice(&dk[head.past * p..]);
    to_v.copy_from_slice(&dv[head.past * p..]);
}

/// Of a block `[steps,rows]`: scores, which become the weights behind the dropout; gradients of the weights, which become those of the scores.
#[derive(Default)]
struct Work {
    scratch: Scratch,
    weights: Vec<f32>,
    dweights: Vec<f32>,
    factors: Vec<f32>,
}

impl Work {
    fn products(&mut self, head: &Head, block: Block, p: usize, dout: &[f32]) {
        scores(head, block, p, &mut self.scratch, &mut self.weights);
        let Block {
            steps, first, rows, ..
        } = block;
        self.dweights.resize(steps * rows, 0.0);
        let shape = Shape {
            m: steps,
            n: rows,
            k: p,
        };
        let v = &head.v[first * p..][..rows * p];
        let factors = [plain(dout), transposed(v)];
        product(
            &mut self.scratch,
            shape,
            factors,
            None,
            &mut self.dweights,
            false,
        );
    }

    /// Of the row from `at` on, of which `seen` is seen.
    fn slopes(
        &mut self,
        at: usize,
        rows: usize,
        seen: std::ops::Range<usize>,
        log_sum: f32,
        mask: Option<(&Mask, usize, usize, isize)>,
    ) {
        let (begin, end) = (seen.start, seen.end);
        let weights = zero_outside(&mut self.weights[at..][..rows], begin, end);
        let dweights = zero_outside(&mut self.dweights[at..][..rows], begin, end);
        let factors = &mut self.factors;
        factors.clear();
        factors.resize(end - begin, 1.0);
        Level::best().run(
            #[inline(always)]
            || {
                if let Some((mask, head, t, step)) = mask {
                    mask.factors(head, t, step, factors);
                }
                for (d, f) in dweights.iter_mut().zip(&*factors) {
                    *d *= f;
                }
                weights
                    .iter_mut()
                    .for_each(|s| *s = (*s - log_sum).exp_neg());
                let mean = sum2(weights, dweights, |w, d| w * d);
                for ((w, d), f) in weights.iter_mut().zip(dweights).zip(&*factors) {
                    *d = *w * (*d - mean);
                    *w *= f;
                }
            },
        );
    }
}
