//! Convolutions whose taps are values, in blocks of steps as products of matrices, and limits of counts.

use candle_core::{Result, Tensor, bail};
use minrnn_kernels as kernels;
use minrnn_model::graph::State;

use super::Walk;

/// Steps of a block: memory is a row's steps times (taps / block + 1), not times the taps.
const BLOCK: usize = 32;

impl Walk<'_> {
    /// `y[t] = sum_j taps[j] * x[t - j]`; before the begin, and before a reset, rows of the state.
    pub(super) fn convolution(&self, [x, taps]: [&Tensor; 2], state: State) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let Some(resets) = &self.resets else {
            return blocks(&Tensor::cat(&[first, x], 1)?, taps);
        };
        let begin = self.initial_state(state)?;
        let (batch, time, _) = x.dims3()?;
        let mut rows = vec![];
        for row in 0..batch {
            let begun = |t: &usize| resets.since[row * time + t] == Some(0);
            let ends: Vec<usize> = (1..time).filter(begun).chain([time]).collect();
            let (mut from, mut parts) = (0, vec![]);
            for end in ends {
                let past = if begun(&from) { &begin } else { first };
                let past = past.narrow(0, row, 1)?;
                let piece = x.narrow(0, row, 1)?.narrow(1, from, end - from)?;
                parts.push(blocks(&Tensor::cat(&[&past, &piece], 1)?, taps)?);
                from = end;
            }
            rows.push(Tensor::cat(&parts, 1)?);
        }
        Tensor::cat(&rows, 0)
    }

    /// 1 for each step; a number that is not from 0 to `most` is an error, but behind a row's end.
    pub(super) fn limit(&self, x: &Tensor, most: usize) -> Result<Tensor> {
        let time = x.dim(1)?;
        // Counted from the begin, no step is beyond: nothing is brought to the host.
        if self.run.states.is_some() || time > most {
            let counts = crate::host::read(&x.detach())?;
            for (row, counts) in counts.chunks(time).enumerate() {
                let end = self.run.lens.map_or(time, |l| l[row] as usize);
                let wrong = |n: &f64| !(-0.5..most as f64 + 0.5).contains(n);
                if let Some(t) = counts[..end].iter().position(wrong) {
                    bail!(
                        "step {t} of row {row} is number {} of its sequence, and the model takes {most} steps; begin anew before, or make a model of longer sequences",
                        counts[t]
                    );
                }
            }
        }
        x.ones_like()
    }
}

/// Rows of the window that the product keeps for each output, of a window of so many rows.
pub(crate) fn patches(lag: Option<usize>) -> usize {
    lag.map_or(0, |lag| 1 + lag / BLOCK)
}

/// `[B, T, D]` from a window `[B, lag + T, D]` and taps `[lag + 1, D]`: of each block of outputs, its rows of the window times the taps,
/// which lie in a matrix a step further on for each output.
fn blocks(window: &Tensor, taps: &Tensor) -> Result<Tensor> {
    let (batch, long, width) = window.dims3()?;
    let lag = taps.dim(0)? - 1;
    let time = long - lag;
    let block = BLOCK.min(time);
    let (count, reach) = (time.div_ceil(block), lag + block);
    let device = window.device();
    let pick = |places: Vec<u32>, of: &Tensor| -> Result<Tensor> {
        let n = places.len();
        kernels::embedding(of, &Tensor::from_vec(places, n, device)?)
    };
    // Zeros behind, so that the last block is whole.
    let missing = count * block - time;
    let window = window.pad_with_zeros(1, 0, missing)?;
    let line = window.transpose(0, 1)?.contiguous()?;
    let line = line.reshape((long + missing, batch * width))?;
    let places = (0..count).flat_map(|i| (0..reach).map(move |w| (i * block + w) as u32));
    let patches = pick(places.collect(), &line)?;
    // [D, count B, reach]
    let patches = patches
        .reshape((count, reach, batch, width))?
        .permute((3, 0, 2, 1))?
        .contiguous()?
        .reshape((width, count * batch, reach))?;
    // Tap lag + k - w at [w, k], and a row of zeros in the place of those that there are not.
    let none = taps.narrow(0, 0, 1)?.zeros_like()?;
    let taps = Tensor::cat(&[taps, &none], 0)?;
    let tap = |w: usize, k: usize| match (lag + k).checked_sub(w) {
        Some(j) if j <= lag => j as u32,
        _ => lag as u32 + 1,
    };
    let places = (0..reach).flat_map(|w| (0..block).map(move |k| tap(w, k)));
    let kernel = pick(places.collect(), &taps)?;
    let kernel = kernel
        .reshape((reach, block, width))?
        .permute((2, 0, 1))?
        .contiguous()?;
    // [D, count B, block]
    let y = patches.matmul(&kernel)?;
    let y = y
        .reshape((width, count, batch, block))?
        .permute((2, 1, 3, 0))?
        .contiguous()?
        .reshape((batch, count * block, width))?;
    y.narrow(1, 0, time)?.contiguous()
}
