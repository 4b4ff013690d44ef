//! RNN, GRU, LSTM: every attribute, in the equations of the standard.

use super::rnn_activation::{Activation, activations};
use super::{Array, Call, Done, Fault, Kind, Op, op};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    op("RNN", 7, Kind::Inner, |c| run(c, Cell::Rnn)),
    op("GRU", 7, Kind::Inner, |c| run(c, Cell::Gru)),
    op("LSTM", 7, Kind::Inner, |c| run(c, Cell::Lstm)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Names of the activations of one direction, unless given.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// Sizes and choices of a node.
struct Node<'a> {
    call: &'a Call<'a>,
    cell: Cell,
    dtype: DType,
    time: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
    batch_first: bool,
    linear_before_reset: bool,
    input_forget: bool,
    lens: Vec<usize>,
}

fn run(call: &Call, cell: Cell) -> Done {
    let x = call.x(0)?;
    let [first, second, input] = *x.dims() else {
        return Err(Fault::input(0, format!("{:?}, wanted 3 axes", x.dims())));
    };
    let batch_first = call.opset >= 14 && call.flag("layout", false)?;
    let (time, batch) = if batch_first {
        (second, first)
    } else {
        (first, second)
    };
    let (directions, backwards) = match call.word("direction", "forward")? {
        "forward" => (1, [false, true]),
        "reverse" => (1, [true, true]),
        "bidirectional" => (2, [false, true]),
        word => return Err(super::wrong_word("direction", word)),
    };
    let r = call.x(2)?;
    let hidden = r.dims().last().copied().unwrap_or(0);
    if call.opt_size("hidden_size")?.is_some_and(|h| h != hidden) {
        return Err(Fault::attribute(
            "hidden_size",
            format!("is not that of the weights, {hidden}"),
        ));
    }
    call.room(&[batch])?;
    call.spend(&[time, batch])?;
    let lens = match call.opt(4) {
        Some(_) => call.sizes(4)?,
        None => vec![time; batch],
    };
    if lens.len() != batch || lens.iter().any(|l| *l > time) {
        return Err(Fault::input(
            4,
            format!("is not one length for each of {batch} rows, within {time}"),
        ));
    }
    let node = Node {
        call,
        cell,
        dtype: x.dtype(),
        time,
        batch,
        input,
        hidden,
        directions,
        batch_first,
        linear_before_reset: cell == Cell::Gru && call.flag("linear_before_reset", false)?,
        input_forget: cell == Cell::Lstm && call.flag("input_forget", false)?,
        lens,
    };
    node.evaluate(&backwards)
}

/// The state of one row.
struct State {
    h: Vec<f64>,
    c: Vec<f64>,
}

impl Node<'_> {
    /// An input of that shape, or zeros if it is left out.
    fn given(&self, i: usize, dims: &[usize]) -> Result<Vec<f64>, Fault> {
        match self.call.opt(i) {
            None => Ok(vec![0.0; self.call.room(dims)?]),
            Some(x) if x.dims() != dims => {
                Err(Fault::input(i, format!("{:?}, wanted {dims:?}", x.dims())))
            }
            Some(x) => {
                super::alike(self.call.x(0)?, x)?;
                Ok(self.call.floats(i)?.to_vec())
            }
        }
    }

    /// Where a row's state of a direction begins.
    fn state_at(&self, d: usize, b: usize) -> usize {
        let (row, rows) = (self.directions, self.batch);
        self.hidden
            * if self.batch_first {
                b * row + d
            } else {
                d * rows + b
            }
    }

    fn evaluate(&self, backwards: &[bool; 2]) -> Done {
        let (n, g, h) = (self.directions, self.cell.gates(), self.hidden);
        let x = self.call.floats(0)?;
        let wide = g
            .checked_mul(h)
            .ok_or_else(|| Fault::Shape("too many gates".into()))?;
        self.call.x(1)?;
        let w = self.given(1, &[n, wide, self.input])?;
        let r = self.given(2, &[n, wide, h])?;
        let bias = self.given(3, &[n, 2 * wide])?;
        let per_state = match self.batch_first {
            true => [self.batch, n, h],
            false => [n, self.batch, h],
        };
        let h0 = self.given(5, &per_state)?;
        let lstm = self.cell == Cell::Lstm;
        let c0 = if lstm {
            self.given(6, &per_state)?
        } else {
            vec![]
        };
        let peepholes = if lstm {
            self.given(7, &[n, 3 * h])?
        } else {
            vec![]
        };
        let activations = activations(self.call, self.cell.activations(), n)?;
        self.call
            .spend(&[self.time, self.batch, n, wide, self.input + h])?;
        let y_dims = match self.batch_first {
            true => vec![self.batch, self.time, n, h],
            false => vec![self.time, n, self.batch, h],
        };
        let mut y = vec![0.0; self.call.room(&y_dims)?];
        let (mut y_h, mut y_c) = (h0.clone(), c0.clone());
        let each = activations.len() / n;
        for d in 0..n {
            let weights = Weights {
                w: &w[d * wide * self.input..(d + 1) * wide * self.input],
                r: &r[d * wide * h..(d + 1) * wide * h],
                bias: &bias[d * 2 * wide..(d + 1) * 2 * wide],
                peepholes: if lstm {
                    &peepholes[d * 3 * h..(d + 1) * 3 * h]
                } else {
                    &[]
                },
                f: &activations[d * each..(d + 1) * each],
            };
            for b in 0..self.batch {
                let at = self.state_at(d, b);
                if self.lens[b] == 0 {
                    // The last output of a row without steps: the standard is silent, ONNX Runtime gives 0.
                    y_h[at..at + h].fill(0.0);
                    y_c.iter_mut().skip(at).take(h).for_each(|c| *c = 0.0);
                    continue;
                }
                let mut state = State {
                    h: h0[at..at + h].to_vec(),
                    c: if lstm {
                        c0[at..at + h].to_vec()
                    } else {
                        vec![]
                    },
                };
                for step in 0..self.lens[b] {
                    let t = if backwards[if n == 1 { 0 } else { d }] {
                        self.lens[b] - 1 - step
                    } else {
                        step
                    };
                    let row = self.input
                        * if self.batch_first {
                            b * self.time + t
                        } else {
                            t * self.batch + b
                        };
                    self.step(&weights, &x[row..row + self.input], &mut state);
                    let out = match self.batch_first {
                        true => ((b * self.time + t) * n + d) * h,
                        false => ((t * n + d) * self.batch + b) * h,
                    };
                    y[out..out + h].copy_from_slice(&state.h);
                }
                y_h[at..at + h].copy_from_slice(&state.h);
                if lstm {
                    y_c[at..at + h].copy_from_slice(&state.c);
                }
            }
        }
        let mut all = vec![
            Array::of_floats(self.dtype, y_dims, y),
            Array::of_floats(self.dtype, per_state.to_vec(), y_h),
        ];
        if lstm {
            all.push(Array::of_floats(self.dtype, per_state.to_vec(), y_c));
        }
        Ok(all)
    }

    fn step(&self, w: &Weights, x: &[f64], state: &mut State) {
        let h = self.hidden;
        let from_x =
            |row: usize| dot(&w.w[row * self.input..(row + 1) * self.input], x) + w.bias[row];
        let wide = self.cell.gates() * h;
        let from_h = |row: usize, state: &[f64]| {
            dot(&w.r[row * h..(row + 1) * h], state) + w.bias[wide + row]
        };
        let settle = |v: f64| self.call.settle(self.dtype, v);
        match self.cell {
            Cell::Rnn => {
                let next = (0..h).map(|i| settle(w.f[0].of(from_x(i) + from_h(i, &state.h))));
                state.h = next.collect();
            }
            Cell::Gru => {
                let gate = |g: usize, i: usize| {
                    settle(w.f[0].of(from_x(g * h + i) + from_h(g * h + i, &state.h)))
                };
                let z: Vec<f64> = (0..h).map(|i| gate(0, i)).collect();
                let r: Vec<f64> = (0..h).map(|i| gate(1, i)).collect();
                let reset: Vec<f64> = r.iter().zip(&state.h).map(|(r, h)| r * h).collect();
                let candidate = |i: usize| {
                    let row = 2 * h + i;
                    let past = match self.linear_before_reset {
                        true => r[i] * from_h(row, &state.h),
                        false => from_h(row, &reset),
                    };
                    settle(w.f[1].of(from_x(row) + past))
                };
                let next = (0..h).map(|i| settle((1.0 - z[i]) * candidate(i) + z[i] * state.h[i]));
                state.h = next.collect();
            }
            Cell::Lstm => {
                // Gates in the order i, o, f, c; peepholes in the order i, o, f.
                let sum = |g: usize, i: usize| from_x(g * h + i) + from_h(g * h + i, &state.h);
                let peep = |g: usize, i: usize, c: f64| w.peepholes[g * h + i] * c;
                let mut next = State {
                    h: vec![],
                    c: vec![],
                };
                for i in 0..h {
                    let old = state.c[i];
                    let input = settle(w.f[0].of(sum(0, i) + peep(0, i, old)));
                    let forget = match self.input_forget {
                        true => 1.0 - input,
                        false => settle(w.f[0].of(sum(2, i) + peep(2, i, old))),
                    };
                    let candidate = settle(w.f[1].of(sum(3, i)));
                    let c = settle(forget * old + input * candidate);
                    let output = settle(w.f[0].of(sum(1, i) + peep(1, i, c)));
                    next.h.push(settle(output * w.f[2].of(c)));
                    next.c.push(c);
                }
                *state = next;
            }
        }
    }
}

/// Weights of one direction.
struct Weights<'a> {
    w: &'a [f64],
    r: &'a [f64],
    bias: &'a [f64],
    peepholes: &'a [f64],
    f: &'a [Activation],
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
