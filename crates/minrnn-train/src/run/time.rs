//! Operations that know time: the recurrence, delays, last steps, and the states they leave.

use candle_core::{DType, Device, Result, Tensor};
use minrnn_kernels as kernels;
use minrnn_model::graph::State;

use super::Walk;

/// Where rows begin anew.
#[derive(Debug, Clone)]
pub(super) struct Resets {
    /// `[B, T]`.
    at: Vec<bool>,
    /// `[B, T]`: steps since the last reset; `None` before the first.
    since: Vec<Option<usize>>,
}

impl Resets {
    pub(super) fn new(at: &[bool], time: usize) -> Self {
        let mut since = Vec::with_capacity(at.len());
        for row in at.chunks(time) {
            let mut last = None;
            for reset in row {
                last = if *reset {
                    Some(0)
                } else {
                    last.map(|n: usize| n + 1)
                };
                since.push(last);
            }
        }
        Self {
            at: at.to_vec(),
            since,
        }
    }

    /// `[B, T, 1]`, 1 where a row begins anew.
    fn mask(&self, like: &Tensor) -> Result<Tensor> {
        mask(&self.at, like)
    }

    /// `[B, T, 1]`, 1 where the input `by` steps before belongs to the same sequence.
    fn reaches(&self, by: usize, like: &Tensor) -> Result<Tensor> {
        let same: Vec<bool> = self
            .since
            .iter()
            .map(|s| s.is_none_or(|s| s >= by))
            .collect();
        mask(&same, like)
    }
}

fn mask(values: &[bool], like: &Tensor) -> Result<Tensor> {
    let (b, t, _) = like.dims3()?;
    let values: Vec<f32> = values.iter().map(|v| f32::from(u8::from(*v))).collect();
    Tensor::from_vec(values, (b, t, 1), like.device())?.to_dtype(like.dtype())
}

/// The last step of each row: `[B, T, width]` to `[B, width]`.
pub(super) fn last(x: &Tensor, lens: Option<&[u32]>) -> Result<Tensor> {
    let (b, t, width) = x.dims3()?;
    let Some(lens) = lens else {
        return x.narrow(1, t - 1, 1)?.contiguous()?.reshape((b, width));
    };
    let rows: Vec<u32> = lens
        .iter()
        .enumerate()
        .map(|(row, len)| row as u32 * t as u32 + len - 1)
        .collect();
    kernels::embedding(&x.reshape((b * t, width))?, &indices(rows, x.device())?)
}

fn indices(rows: Vec<u32>, device: &Device) -> Result<Tensor> {
    let n = rows.len();
    Tensor::from_vec(rows, n, device)?.to_dtype(DType::U32)
}

impl Walk<'_> {
    /// `h[t] = a[t] * h[t-1] + b[t]`. A reset puts the state's initial value in the place of `h[t-1]`: `a := 0, b := b + a * h0`.
    pub(super) fn recur(&self, a: &Tensor, b: &Tensor, state: State) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let Some(resets) = &self.resets else {
            return kernels::linear_scan(a, b, first);
        };
        let begin = self.initial_state(state)?.unsqueeze(1)?;
        let reset = resets.mask(a)?;
        let restarted = a.broadcast_mul(&reset)?.broadcast_mul(&begin)?;
        let kept = a.broadcast_mul(&reset.affine(-1.0, 1.0)?)?;
        kernels::linear_scan(&kept, &b.add(&restarted)?, first)
    }

    /// `y[t] = x[t - by]`; before the begin, rows of the state; before a reset, zeros.
    pub(super) fn delay(&self, x: &Tensor, state: State, by: usize) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let lag = first.dim(1)?;
        let padded = Tensor::cat(&[first, x], 1)?;
        let y = padded.narrow(1, lag - by, x.dim(1)?)?.contiguous()?;
        match &self.resets {
            Some(resets) => y.broadcast_mul(&resets.reaches(by, x)?),
            None => Ok(y),
        }
    }

    /// The state after each row's end.
    pub(super) fn next_state(&self, state: State) -> Result<Tensor> {
        let source = self.value(self.graph.state_source(state));
        let Some(lag) = self.graph.state_spec(state).lag else {
            return last(source, self.run.lens);
        };
        let steps: Result<Vec<Tensor>> = (0..lag)
            .rev()
            .map(|by| last(&self.delay(source, state, by)?, self.run.lens)?.unsqueeze(1))
            .collect();
        Tensor::cat(&steps?, 1)
    }
}
