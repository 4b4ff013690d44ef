//! The selective scan as it is defined, in float64, one value after the other; all states are kept.

use super::Size;

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Step sizes `[B,T,H]`.
    pub step: &'a [f64],
    /// `[B,T,D]`.
    pub x: &'a [f64],
    /// `[B,T,G N]`.
    pub b: &'a [f64],
    /// `[B,T,G N]`.
    pub c: &'a [f64],
    /// Logarithms of the rates, `[D N]` or `[H]`.
    pub log_rates: &'a [f64],
    /// `[H]`.
    pub skip: &'a [f64],
    /// `[B,D N]`.
    pub h0: &'a [f64],
}

/// Gradients of what a scan reads, shaped alike.
#[derive(Debug, Clone)]
pub struct Grads {
    /// Of the step sizes.
    pub step: Vec<f64>,
    /// Of x.
    pub x: Vec<f64>,
    /// Of b.
    pub b: Vec<f64>,
    /// Of c.
    pub c: Vec<f64>,
    /// Of the logarithms of the rates.
    pub log_rates: Vec<f64>,
    /// Of the skip.
    pub skip: Vec<f64>,
    /// Of h0.
    pub h0: Vec<f64>,
}

/// Where a state's values lie.
struct At {
    step: usize,
    x: usize,
    read: usize,
    rate: usize,
    head: usize,
}

fn at(size: Size, row: usize, channel: usize, state: usize) -> At {
    let head = channel / size.head_channels();
    let wide = channel * size.states + state;
    At {
        step: row * size.heads + head,
        x: row * size.channels + channel,
        read: row * size.read() + channel / size.group_channels() * size.states + state,
        rate: if size.shared { head } else { wide },
        head,
    }
}

/// y `[B,T,D]` and all states `[B,T,D N]`.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn selective_scan(i: &Inputs<'_>, size: Size) -> (Vec<f64>, Vec<f64>) {
    let (n, wide) = (size.states, size.wide());
    let mut y = vec![0.0; size.rows() * size.channels];
    let mut all = vec![0.0; size.rows() * wide];
    for row in 0..size.rows() {
        let (sequence, time) = (row / size.time, row % size.time);
        for channel in 0..size.channels {
            let mut sum = 0.0;
            for state in 0..n {
                let at = at(size, row, channel, state);
                let k = channel * n + state;
                let before = match time {
                    0 => i.h0[sequence * wide + k],
                    _ => all[(row - 1) * wide + k],
                };
                let decay = libm::exp(-i.step[at.step] * libm::exp(i.log_rates[at.rate]));
                let h = decay * before + i.step[at.step] * i.x[at.x] * i.b[at.read];
                all[row * wide + k] = h;
                sum += h * i.c[at.read];
            }
            let at = at(size, row, channel, 0);
            y[at.x] = sum + i.x[at.x] * i.skip[at.head];
        }
    }
    (y, all)
}

/// Of all states those that are kept for the backward pass, `[B, kept, D N]`.
///
/// # Panics
/// If there are not as many as `size` says.
pub fn marks(all: &[f64], size: Size) -> Vec<f64> {
    let wide = size.wide();
    let row = |i: usize| {
        let (sequence, kept) = (i / size.kept(), i % size.kept());
        sequence * size.time + (kept + 1) * size.every() - 1
    };
    (0..size.batch * size.kept())
        .flat_map(|i| all[row(i) * wide..][..wide].to_vec())
        .collect()
}

/// The gradients, given all states, the gradient `dy` of y and that of all states `[B,T,D N]` from elsewhere.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn selective_scan_grad(
    i: &Inputs<'_>,
    all: &[f64],
    dy: &[f64],
    dh: Option<&[f64]>,
    size: Size,
) -> Grads {
    let (n, wide) = (size.states, size.wide());
    let zeros = |of: &[f64]| vec![0.0; of.len()];
    let mut grads = Grads {
        step: zeros(i.step),
        x: zeros(i.x),
        b: zeros(i.b),
        c: zeros(i.c),
        log_rates: zeros(i.log_rates),
        skip: zeros(i.skip),
        h0: zeros(i.h0),
    };
    for row in (0..size.rows()).rev() {
        let (sequence, time) = (row / size.time, row % size.time);
        for channel in 0..size.channels {
            for state in 0..n {
                let at = at(size, row, channel, state);
                let k = channel * n + state;
                let before = match time {
                    0 => i.h0[sequence * wide + k],
                    _ => all[(row - 1) * wide + k],
                };
                let (step, x, b) = (i.step[at.step], i.x[at.x], i.b[at.read]);
                let rate = -libm::exp(i.log_rates[at.rate]);
                let decay = libm::exp(step * rate);
                // What comes from later steps lies in the gradient of h0.
                let later = &mut grads.h0[sequence * wide + k];
                let at_end = if time + 1 == size.time { 0.0 } else { *later };
                let g = at_end + dy[at.x] * i.c[at.read] + dh.map_or(0.0, |d| d[row * wide + k]);
                *later = g * decay;
                grads.c[at.read] += dy[at.x] * all[row * wide + k];
                grads.b[at.read] += g * step * x;
                grads.x[at.x] += g * step * b;
                grads.step[at.step] += g * (x * b + before * decay * rate);
                grads.log_rates[at.rate] += g * before * decay * step * rate;
            }
            let at = at(size, row, channel, 0);
            grads.x[at.x] += dy[at.x] * i.skip[at.head];
            grads.skip[at.head] += dy[at.x] * i.x[at.x];
        }
    }
    grads
}
