//! Operations that know time: the recurrence, delays, last steps, and the states they leave.

use candle_core::{D, DType, Device, Result, Tensor};
use minrnn_kernels as kernels;
use minrnn_model::graph::{Holds, Law, State};

use super::Walk;

/// Where rows begin anew.
#[derive(Debug, Clone)]
pub(super) struct Resets {
    /// `[B, T]`.
    at: Vec<bool>,
    /// `[B, T]`: steps since the last reset; `None` before the first.
    pub(super) since: Vec<Option<usize>>,
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

    /// `[B, T, 1]`, 1 where a row begins anew; of the type and place of `like`, `[B, T, ..]`.
    pub(super) fn mask(&self, like: &Tensor) -> Result<Tensor> {
        let (b, t, _) = like.dims3()?;
        let values: Vec<f32> = self.at.iter().map(|v| f32::from(u8::from(*v))).collect();
        Tensor::from_vec(values, (b, t, 1), like.device())?.to_dtype(like.dtype())
    }
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
    /// The recurrence of a law; `x`: its arguments. A reset puts the state's initial value in the place of `h[t-1]`.
    pub(super) fn recur(&self, law: Law, x: &[&Tensor], state: State) -> Result<Tensor> {
        match *x {
            [a, b] if law == Law::Linear => self.linear(a, b, state),
            [a, b] if law == Law::Complex => self.complex(a, b, state),
            [b] if law == Law::Max => self.largest(b, state),
            _ => candle_core::bail!("{} arguments of the law {}", x.len(), law.name()),
        }
    }

    /// `h[t] = a[t] * h[t-1] + b[t]`; at a reset `a := 0, b := b + a * h0`.
    fn linear(&self, a: &Tensor, b: &Tensor, state: State) -> Result<Tensor> {
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

    /// The same of complex numbers.
    fn complex(&self, a: &Tensor, b: &Tensor, state: State) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let Some(resets) = &self.resets else {
            return kernels::complex_scan(a, b, first);
        };
        let begin = self.initial_state(state)?.unsqueeze(1)?;
        let n = a.dim(D::Minus1)? / 2;
        let part = |x: &Tensor, at: usize| x.narrow(D::Minus1, at * n, n);
        let (ar, ai) = (part(a, 0)?, part(a, 1)?);
        let (hr, hi) = (part(&begin, 0)?, part(&begin, 1)?);
        let re = (ar.broadcast_mul(&hr)? - ai.broadcast_mul(&hi)?)?;
        let im = (ar.broadcast_mul(&hi)? + ai.broadcast_mul(&hr)?)?;
        let reset = resets.mask(a)?;
        let restarted = Tensor::cat(&[re, im], D::Minus1)?.broadcast_mul(&reset)?;
        let kept = a.broadcast_mul(&reset.affine(-1.0, 1.0)?)?;
        kernels::complex_scan(&kept, &b.add(&restarted)?, first)
    }

    /// `h[t] = max(h[t-1], b[t])`: the linear recurrence whose steps keep h where it is larger, and take b where not. Which they are is no
    /// matter of gradients, so that b's is one where b is taken, and h's where it is kept.
    fn largest(&self, b: &Tensor, state: State) -> Result<Tensor> {
        let first = &self.first[state.index()];
        let (b, reset) = match &self.resets {
            None => (b.clone(), None),
            Some(resets) => {
                let reset = resets.mask(b)?;
                let begin = self.initial_state(state)?.unsqueeze(1)?;
                let anew = b.broadcast_maximum(&begin)?.broadcast_mul(&reset)?;
                let kept = b.broadcast_mul(&reset.affine(-1.0, 1.0)?)?;
                ((anew + kept)?, Some(reset))
            }
        };
        let before = largest_before(&b.detach(), &first.detach(), reset.as_ref())?;
        let mut taken = b.detach().ge(&before)?.to_dtype(b.dtype())?;
        if let Some(reset) = &reset {
            taken = taken.broadcast_maximum(reset)?;
        }
        kernels::linear_scan(&taken.affine(-1.0, 1.0)?, &(b * &taken)?, first)
    }

    /// A window, or the last value of a recurrence as a window of one row: `[B, lag, width]`.
    pub(super) fn rows(&self, state: State, x: &Tensor) -> Result<Tensor> {
        match self.graph.state_spec(state).holds {
            Holds::Value => x.unsqueeze(1),
            Holds::Window { .. } => Ok(x.clone()),
        }
    }

    /// `y[t] = x[t - by]`; before the begin, and before a reset, rows of the state.
    pub(super) fn delay(&self, x: &Tensor, state: State, by: usize) -> Result<Tensor> {
        let first = &self.rows(state, &self.first[state.index()])?;
        let (lag, time) = (first.dim(1)?, x.dim(1)?);
        let Some(resets) = &self.resets else {
            let line = Tensor::cat(&[first, x], 1)?;
            return line.narrow(1, lag - by, time)?.contiguous();
        };
        let at = |row: usize, t: usize| match resets.since[row * time + t] {
            Some(since) if since < by => Past::Begin(by - since),
            _ => Past::Line(lag + t - by),
        };
        self.gather(x, state, time, at)
    }

    /// The state after each row's end.
    pub(super) fn next_state(&self, state: State) -> Result<Tensor> {
        let source = self.value(self.graph.state_source(state));
        let lag = match self.graph.state_spec(state).holds {
            Holds::Value => return last(source, self.run.lens),
            Holds::Window { lag } => lag,
        };
        let time = source.dim(1)?;
        if self.run.lens.is_none() && self.resets.is_none() {
            let line = Tensor::cat(&[&self.first[state.index()], source], 1)?;
            return line.narrow(1, time, lag)?.contiguous();
        }
        let at = |row: usize, i: usize| {
            let len = self.run.lens.map_or(time, |l| l[row] as usize);
            let since = self
                .resets
                .as_ref()
                .and_then(|r| r.since[row * time + len - 1]);
            // Steps since a reset, with the one at the end.
            match since {
                Some(since) if since + 1 < lag - i => Past::Begin(lag - i - since - 1),
                _ => Past::Line(len + i),
            }
        };
        self.gather(source, state, lag, at)
    }

    /// `count` entries of each row: picked from the line of what the state held and the inputs, or from what a reset begins with.
    fn gather(
        &self,
        x: &Tensor,
        state: State,
        count: usize,
        at: impl Fn(usize, usize) -> Past,
    ) -> Result<Tensor> {
        let first = &self.rows(state, &self.first[state.index()])?;
        let (batch, lag, width) = first.dims3()?;
        let begin = self.rows(state, &self.initial_state(state)?)?;
        let long = lag + x.dim(1)? + lag;
        let line = Tensor::cat(&[first, x, &begin], 1)?.reshape((batch * long, width))?;
        let pick = |row: usize, i: usize| match at(row, i) {
            Past::Line(at) => (row * long + at) as u32,
            Past::Begin(before) => (row * long + long - before) as u32,
        };
        let rows = (0..batch).flat_map(|row| (0..count).map(move |i| (row, i)));
        let rows = rows.map(|(row, i)| pick(row, i)).collect();
        let picked = kernels::embedding(&line, &indices(rows, x.device())?)?;
        picked.reshape((batch, count, width))
    }
}

/// The largest of the state and all steps before each, `[B, T, width]`, those before the last reset left out: in passes over ever longer
/// steps, after each of which a step knows twice as many.
fn largest_before(b: &Tensor, first: &Tensor, reset: Option<&Tensor>) -> Result<Tensor> {
    // Lower than any value, and twice that is a number of f32.
    const LOWEST: f64 = -1e38;
    let time = b.dim(1)?;
    let mut h = Tensor::cat(&[&first.unsqueeze(1)?, b], 1)?;
    let mut lowered = match reset {
        None => None,
        Some(reset) => {
            let none = reset.narrow(1, 0, 1)?.zeros_like()?;
            Some(Tensor::cat(&[&none, &reset.affine(LOWEST, 0.0)?], 1)?)
        }
    };
    let mut distance = 1;
    while distance <= time {
        let late = time + 1 - distance;
        let mut early = h.narrow(1, 0, late)?;
        if let Some(low) = &lowered {
            let step = low.narrow(1, distance, late)?;
            early = early.broadcast_add(&step)?;
            let both = step.minimum(&low.narrow(1, 0, late)?)?;
            lowered = Some(Tensor::cat(&[&low.narrow(1, 0, distance)?, &both], 1)?);
        }
        let more = h.narrow(1, distance, late)?.maximum(&early)?;
        h = Tensor::cat(&[&h.narrow(1, 0, distance)?, &more], 1)?;
        distance *= 2;
    }
    h.narrow(1, 0, time)
}

/// Where an entry of a window comes from.
enum Past {
    /// From what the state held, then the inputs: the entry of that number.
    Line(usize),
    /// From what a reset begins with: that many steps before it.
    Begin(usize),
}
