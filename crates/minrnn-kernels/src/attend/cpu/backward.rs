//! Gradients of attention: the scores of a block are computed again.

use super::{
    BLOCK, Block, Head, Inputs, Rows, plain, scale, scores, spread, transposed, zero_outside,
};
use crate::attend::{Mask, Size};
use crate::dispatch::Level;
use crate::math::{Float, sum2};
use crate::parallel::each_chunk;
use crate::product::{Scratch, Shape, product};

/// Gradients of q and kv from that of y; `sums` are those of the forward pass. The rows before the run get none.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn backward(
    inputs: &Inputs<'_>,
    size: Size,
    mask: Option<&Mask>,
    [sums, dy]: [&[f32]; 2],
    to: Rows<&mut [f32]>,
) {
    inputs.check(size);
    assert_eq!(
        [sums.len(), dy.len()],
        [size.sums(), size.values()],
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
    match to {
        Rows::Apart(dq, dkv) => {
            assert_eq!([dq.len(), dkv.len()], [size.values(), 2 * size.values()]);
            spread(size, 1, dq, |head, _, t| own(head, 0, t));
            spread(size, 2, dkv, |head, which, t| own(head, 1 + which, t));
        }
        Rows::Packed(dx) => {
            assert_eq!(dx.len(), 3 * size.values());
            spread(size, 3, dx, own);
        }
    }
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
