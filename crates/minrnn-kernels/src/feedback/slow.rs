//! GRU and LSTM as they are defined, in float64, one value after the other.

use super::{Feedback, Size};

/// What a cell reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Products of the input with their bias, `[B,T,P D]`: `[r | z | n]`, or `[i | f | g | o]`.
    pub x: &'a [f64],
    /// Matrix of the state, `[D,P D]`.
    pub weight: &'a [f64],
    /// Its bias, `[P D]`; empty: none.
    pub bias: &'a [f64],
    /// h before the first step, `[B,D]`; empty: zeros.
    pub h0: &'a [f64],
    /// c before the first step, `[B,D]`; empty: zeros, or a GRU.
    pub c0: &'a [f64],
}

/// What it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// `[B,T,D]`.
    pub h: Vec<f64>,
    /// What [`Size::saved`] says.
    pub saved: Vec<f64>,
}

/// Gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Grads {
    /// Of [`Inputs::x`].
    pub x: Vec<f64>,
    /// Of the products of the state, `[B,T,P D]`: with [`Grads::before`] that of the matrix, summed that of the bias.
    pub moved: Vec<f64>,
    /// No gradient: h before each step, `[B,T,D]`.
    pub before: Vec<f64>,
    /// Of [`Inputs::h0`], `[B,D]`.
    pub h0: Vec<f64>,
    /// Of [`Inputs::c0`], `[B,D]`; of a GRU empty.
    pub c0: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn or_zero(x: &[f64], at: usize) -> f64 {
    x.get(at).copied().unwrap_or(0.0)
}

/// h of all steps, with what the backward pass needs.
///
/// # Panics
/// If a slice is not as long as it says.
pub fn forward(kind: Feedback, i: &Inputs<'_>, size: Size) -> Output {
    let Size {
        batch,
        time,
        channels: d,
    } = size;
    let parts = kind.parts();
    let mut h = vec![0.0; size.states()];
    let mut saved = vec![];
    for row in 0..batch {
        let mut now: Vec<f64> = (0..d).map(|j| or_zero(i.h0, row * d + j)).collect();
        let mut c: Vec<f64> = (0..d).map(|j| or_zero(i.c0, row * d + j)).collect();
        for t in 0..time {
            let at = row * time + t;
            let x = &i.x[at * parts * d..][..parts * d];
            let moved = |column: usize| {
                let product = now.iter().zip(i.weight[column..].iter().step_by(parts * d));
                product.map(|(h, w)| h * w).sum::<f64>() + or_zero(i.bias, column)
            };
            let m: Vec<f64> = (0..parts * d).map(moved).collect();
            let all = |part: usize, f: &dyn Fn(usize) -> f64| -> Vec<f64> {
                (0..d).map(|j| f(part * d + j)).collect()
            };
            let gate = |part| all(part, &|k| sigmoid(x[k] + m[k]));
            match kind {
                Feedback::Gru => {
                    let [r, z] = [0, 1].map(gate);
                    let n = all(2, &|k| libm::tanh(x[k] + r[k - 2 * d] * m[k]));
                    let next = (0..d).map(|j| (now[j] - n[j]) * z[j] + n[j]);
                    now = next.collect();
                    [r, z, n].iter().for_each(|part| saved.extend(part));
                    saved.extend(&m[2 * d..]);
                }
                Feedback::Lstm => {
                    let [input, forget, o] = [0, 1, 3].map(gate);
                    let g = all(2, &|k| libm::tanh(x[k] + m[k]));
                    c = (0..d).map(|j| forget[j] * c[j] + input[j] * g[j]).collect();
                    now = (0..d).map(|j| o[j] * libm::tanh(c[j])).collect();
                    let parts = [&input, &forget, &g, &o, &c];
                    parts.iter().for_each(|part| saved.extend(*part));
                }
            }
            h[at * d..][..d].copy_from_slice(&now);
        }
    }
    Output { h, saved }
}

/// Gradients, given what [`forward`] gave and the gradient `dh` of h.
///
/// # Panics
/// If a slice is not as long as it says.
pub fn backward(kind: Feedback, i: &Inputs<'_>, out: &Output, dh: &[f64], size: Size) -> Grads {
    let Size {
        batch,
        time,
        channels: d,
    } = size;
    let (parts, kept) = (kind.parts(), super::saved(kind));
    let mut grads = Grads {
        x: vec![0.0; size.packed(kind)],
        moved: vec![0.0; size.packed(kind)],
        before: vec![0.0; size.states()],
        h0: vec![0.0; size.state()],
        c0: vec![0.0; kind.states().len().saturating_sub(1) * size.state()],
    };
    for row in 0..batch {
        let (mut later, mut later_c) = (vec![0.0; d], vec![0.0; d]);
        for t in (0..time).rev() {
            let at = row * time + t;
            let saved = |part: usize, j: usize| out.saved[(at * kept + part) * d + j];
            for j in 0..d {
                let before = match t {
                    0 => or_zero(i.h0, row * d + j),
                    _ => out.h[(at - 1) * d + j],
                };
                grads.before[at * d + j] = before;
                let grad = dh[at * d + j] + later[j];
                let mut put = |part: usize, x: f64, moved: f64| {
                    let to = (at * parts + part) * d + j;
                    (grads.x[to], grads.moved[to]) = (x, moved);
                };
                let [a, b, n, last] = [0, 1, 2, 3].map(|part| saved(part, j));
                match kind {
                    Feedback::Gru => {
                        let (r, z, hn) = (a, b, last);
                        let dn = grad * (1.0 - z) * (1.0 - n * n);
                        let dz = grad * (before - n) * z * (1.0 - z);
                        let dr = dn * hn * r * (1.0 - r);
                        put(0, dr, dr);
                        put(1, dz, dz);
                        put(2, dn, dn * r);
                        later[j] = grad * z;
                    }
                    Feedback::Lstm => {
                        let (input, forget, g, o) = (a, b, n, last);
                        let tanh = libm::tanh(saved(4, j));
                        let dc = grad * o * (1.0 - tanh * tanh) + later_c[j];
                        let c = match t {
                            0 => or_zero(i.c0, row * d + j),
                            _ => out.saved[((at - 1) * kept + 4) * d + j],
                        };
                        let slopes = [
                            dc * g * input * (1.0 - input),
                            dc * c * forget * (1.0 - forget),
                            dc * input * (1.0 - g * g),
                            grad * tanh * o * (1.0 - o),
                        ];
                        for (part, slope) in slopes.into_iter().enumerate() {
                            put(part, slope, slope);
                        }
                        (later[j], later_c[j]) = (0.0, dc * forget);
                    }
                }
            }
            let moved = &grads.moved[at * parts * d..][..parts * d];
            for (later, weight) in later.iter_mut().zip(i.weight.chunks(parts * d)) {
                *later += moved.iter().zip(weight).map(|(m, w)| m * w).sum::<f64>();
            }
        }
        grads.h0[row * d..][..d].copy_from_slice(&later);
        if kind == Feedback::Lstm {
            grads.c0[row * d..][..d].copy_from_slice(&later_c);
        }
    }
    grads
}
