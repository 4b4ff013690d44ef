//! Attention on the CPU: a task is a head of a sequence, which goes through blocks of steps over the rows that they see. The backward pass
//! computes the scores of a block again.
//!
//! Products are those of [`product`], sums over blocks go in their order: the bits depend on no number of threads.

mod backward;

pub use backward::backward;

use super::{Mask, Size};
use crate::dispatch::Level;
use crate::math::{Float, max, sum};
use crate::parallel::{each_chunk, each_row};
use crate::product::{Operand, Scratch, Shape, product};

/// Steps of a block.
const BLOCK: usize = 64;

/// q and the rows `[k | v]`, or their gradients.
#[derive(Debug)]
pub enum Rows<T> {
    /// `[B,T,D]`, and `[B,T,2D]`.
    Apart(T, T),
    /// `[B,T,3D]`.
    Packed(T),
}

impl Copy for Rows<&[f32]> {}
impl Clone for Rows<&[f32]> {
    fn clone(&self) -> Self {
        *self
    }
}

/// What it reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// q and the rows of the run.
    pub rows: Rows<&'a [f32]>,
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

impl<'a> Inputs<'a> {
    fn check(&self, size: Size) {
        let lens = match self.rows {
            Rows::Apart(q, kv) => [q.len(), kv.len()],
            Rows::Packed(x) => [x.len() / 3, x.len() - x.len() / 3],
        };
        assert_eq!(
            lens,
            [size.values(), 2 * size.values()],
            "q, kv of {size:?}"
        );
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
        // Each with the elements of a row, and the first channel.
        let (q, kv) = match self.rows {
            Rows::Apart(q, kv) => ((q, d, 0), (kv, 2 * d, 0)),
            Rows::Packed(x) => ((x, 3 * d, 0), (x, 3 * d, d)),
        };
        let own = |(x, width, from): (&'a [f32], usize, usize)| {
            (&x[sequence * time * width..][..time * width], width, from)
        };
        let (rows, width, from) = own(q);
        Self::channels(rows, width, from + head * p, p, &mut made.q);
        let scale = scale(p);
        made.q.iter_mut().for_each(|q| *q *= scale);
        let before = |w: &'a [f32]| (&w[sequence * lag * 2 * d..][..lag * 2 * d], 2 * d, 0);
        let before = self.window.map(before);
        for (rows, width, from) in before.into_iter().chain([own(kv)]) {
            let k = from + head * p;
            Self::channels(rows, width, k, p, &mut made.k);
            Self::channels(rows, width, k + d, p, &mut made.v);
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
                Level::best().run(
                    #[inline(always)]
                    || {
                        mask.factors(at, t, row, &mut factors);
                        seen.iter_mut().zip(&factors).for_each(|(w, f)| *w *= f);
                    },
                );
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
