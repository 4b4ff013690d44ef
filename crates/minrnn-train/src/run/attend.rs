//! Attention over a window, and rows of a table by computed numbers.

use candle_core::{D, DType, Result, Tensor};
use minrnn_kernels as kernels;
use minrnn_kernels::attend::{self, Mask, Size};
use minrnn_kernels::dropout::Draw;
use minrnn_model::graph::{Param, State};

use super::{Dropout, Walk};

/// Steps whose scores are in memory at once, at least.
const LEAST: usize = 128;
/// Added to the score of a row that is not seen: its exponential is 0.
const HIDDEN: f64 = -1e30;

impl Walk<'_> {
    /// Row of a table for each number `[B, T, 1]`.
    pub(super) fn rows_of(&self, table: Param, at: &Tensor, width: usize) -> Result<Tensor> {
        let spec = self.graph.param_spec(table);
        let at = at.detach();
        let shape = [&at.dims()[..at.rank() - 1], &[width]].concat();
        let ids = at.flatten_all()?.to_dtype(DType::U32)?;
        // Whole numbers from 0 on; on a GPU a row that is none is NaN.
        let rows = kernels::embedding(self.weights.get(table.index()), &ids).map_err(|e| {
            e.context(format!(
                "rows of `{}`, which has {}: begin anew, or use a model of more positions",
                spec.name, spec.shape[0]
            ))
        })?;
        rows.reshape(shape)
    }

    /// `[B, T, D]` of q `[B, T, D]`, `[k | v]` `[B, T, 2D]`, n `[B, T, 1]`: blocks of steps, each over the rows that it can see.
    pub(super) fn attend(
        &self,
        [q, kv, n]: [&Tensor; 3],
        state: State,
        heads: usize,
        dropout: Option<(f64, usize)>,
    ) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let (lag, time) = (first.dim(1)?, q.dim(1)?);
        let size = Size {
            batch: q.dim(0)?,
            time,
            channels: q.dim(2)?,
            heads,
            lag,
        };
        let mask = dropout.zip(self.run.dropout);
        let mask = mask.map(|((p, site), Dropout { seed, step })| {
            Mask::new(Draw { seed, step, site }, p, size)
        });
        let window = Tensor::cat(&[first, kv], 1)?;
        // Rows before this one that a step sees.
        let before = n.detach().affine(1.0, -1.0)?;
        let block = lag.max(LEAST);
        let mut all = vec![];
        for from in (0..time).step_by(block) {
            let steps = block.min(time - from);
            let part = |x: &Tensor, count: usize| x.narrow(1, from, count);
            let rows = part(&window, lag + steps)?;
            all.push(seen(
                &part(q, steps)?,
                &rows,
                &part(&before, steps)?,
                heads,
                mask.as_ref().map(|mask| (mask, from)),
            )?);
        }
        match all.len() {
            1 => Ok(all.remove(0)),
            _ => Tensor::cat(&all, 1),
        }
    }
}

/// `[B, L, D]` as `[B, heads, L, P]`.
fn by_head(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, l, d) = x.dims3()?;
    let x = x.contiguous()?.reshape((b, l, heads, d / heads))?;
    x.transpose(1, 2)?.contiguous()
}

/// A block of steps: q `[B, T, D]`, rows `[B, lag + T, 2D]` up to its last, `before` `[B, T, 1]`.
/// The dropout of the weights comes with the first step of the block.
fn seen(
    q: &Tensor,
    rows: &Tensor,
    before: &Tensor,
    heads: usize,
    mask: Option<(&Mask, usize)>,
) -> Result<Tensor> {
    let (b, t, d) = q.dims3()?;
    let lag = rows.dim(1)? - t;
    let scale = 1.0 / ((d / heads) as f64).sqrt();
    let k = by_head(&rows.narrow(D::Minus1, 0, d)?, heads)?;
    let v = by_head(&rows.narrow(D::Minus1, d, d)?, heads)?;
    let q = by_head(&q.affine(scale, 0.0)?, heads)?;
    let scores = q.matmul(&k.transpose(2, 3)?.contiguous()?)?;
    let scores = scores.broadcast_add(&hidden(before, lag)?.unsqueeze(1)?)?;
    let most = scores.detach().max_keepdim(D::Minus1)?;
    let weights = scores.broadcast_sub(&most)?.exp()?;
    let sum = weights.sum_keepdim(D::Minus1)?;
    let weights = weights.broadcast_div(&sum)?;
    let weights = match mask {
        None => weights,
        Some((mask, from)) => {
            let first = from as isize - lag as isize;
            let factors = attend::mask(mask, (from, t), first, lag + t);
            let factors = Tensor::from_vec(factors, weights.shape(), weights.device())?;
            (weights * factors.to_dtype(q.dtype())?)?
        }
    };
    let y = weights.matmul(&v)?;
    y.transpose(1, 2)?.contiguous()?.reshape((b, t, d))
}

/// `[B, T, lag + T]`: 0 where a step sees a row, else what makes its weight 0.
fn hidden(before: &Tensor, lag: usize) -> Result<Tensor> {
    let (b, t, _) = before.dims3()?;
    let age = |at: usize| (at / (lag + t) + lag) as f32 - (at % (lag + t)) as f32;
    let ages: Vec<f32> = (0..t * (lag + t)).map(age).collect();
    let ages = Tensor::from_vec(ages, (1, t, lag + t), before.device())?;
    let ages = ages.to_dtype(before.dtype())?;
    let before = before.minimum(lag as f64)?;
    let late = ages.lt(0.0)?.broadcast_as((b, t, lag + t))?;
    let early = ages.broadcast_gt(&before)?;
    let hidden = (late.to_dtype(before.dtype())? + early.to_dtype(before.dtype())?)?;
    hidden.affine(HIDDEN, 0.0)
}
