//! GRU and LSTM as PyTorch has them: cells whose gates read the state, so that they run step by step.

use super::Linear;
use super::linear::Bounded;
use crate::error::Result;
use crate::graph::{FoldState, Fused, Graph, Layer, StateInit, Unary, Value};
use crate::spec::{Init, Role};

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Gates in the order `[r | z | n]`; see [`Fused::Gru`]. State `h`.
    Gru,
    /// Gates in the order `[i | f | g | o]`; see [`Fused::Lstm`]. States `h`, `c`.
    Lstm,
}

impl Feedback {
    /// How many vectors of D channels a product gives.
    pub fn parts(self) -> usize {
        match self {
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Its states.
    pub fn states(self) -> &'static [&'static str] {
        match self {
            Self::Gru => &["h"],
            Self::Lstm => &["h", "c"],
        }
    }

    /// The states after a step, from what the products of the input and of the state give, and what the states were.
    fn step(self, g: &mut Graph, x: [Value; 2], h: Value, before: &[Value]) -> Result<Vec<Value>> {
        match (self, before) {
            (Self::Lstm, [_, c]) => lstm(g, x[0], h, *c),
            _ => gru(g, x, h, before[0]),
        }
    }
}

/// `x`: `[xr | xz]` and `xn`; `moved`: `[hr | hz | hn]`.
fn gru(g: &mut Graph, x: [Value; 2], moved: Value, h: Value) -> Result<Vec<Value>> {
    let d = g.width(h);
    let gates = g.narrow(moved, 0, 2 * d)?;
    let gates = g.add(x[0], gates)?;
    let gates = g.unary(Unary::Sigmoid, gates)?;
    let [r, z] = g.split::<2>(gates)?;
    let candidate = g.narrow(moved, 2 * d, d)?;
    let candidate = g.mul(r, candidate)?;
    let candidate = g.add(x[1], candidate)?;
    let n = g.unary(Unary::Tanh, candidate)?;
    let apart = g.sub(h, n)?;
    let kept = g.mul(apart, z)?;
    Ok(vec![g.add(kept, n)?])
}

/// `x`, `moved`: `[i | f | g | o]` each.
fn lstm(g: &mut Graph, x: Value, moved: Value, c: Value) -> Result<Vec<Value>> {
    let d = g.width(c);
    let sum = g.add(x, moved)?;
    let gates = g.narrow(sum, 0, 2 * d)?;
    let gates = g.unary(Unary::Sigmoid, gates)?;
    let [i, f] = g.split::<2>(gates)?;
    let candidate = g.narrow(sum, 2 * d, d)?;
    let candidate = g.unary(Unary::Tanh, candidate)?;
    let o = g.narrow(sum, 3 * d, d)?;
    let o = g.unary(Unary::Sigmoid, o)?;
    let kept = g.mul(f, c)?;
    let new = g.mul(i, candidate)?;
    let c = g.add(kept, new)?;
    let y = g.unary(Unary::Tanh, c)?;
    Ok(vec![g.mul(o, y)?, c])
}

/// A cell with its products: parameters `in.weight [M, parts D]`, `in.bias`, `hidden.weight [D, parts D]`, `hidden.bias`, all begun uniform
/// in `[-1 / sqrt(D), 1 / sqrt(D))` as PyTorch's.
struct Cell {
    kind: Feedback,
    channels: usize,
    bias: bool,
    init: Vec<StateInit>,
}

impl Cell {
    fn linear(&self, name: &str) -> Bounded {
        let bound = 1.0 / libm::sqrt(self.channels as f64);
        Bounded {
            linear: Linear {
                name: name.into(),
                outputs: self.kind.parts() * self.channels,
                bias: self.bias.then_some(Init::Uniform { bound }),
                decay: false,
            },
            bound,
        }
    }
}

impl Layer for Cell {
    fn name(&self) -> &str {
        ""
    }
    fn fused(&self) -> Option<Fused> {
        let bias = self.bias;
        Some(match self.kind {
            Feedback::Gru => Fused::Gru { bias },
            Feedback::Lstm => Fused::Lstm { bias },
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let d = self.channels;
        let packed = g.apply(&self.linear("in"), x[0])?;
        let x = match self.kind {
            Feedback::Gru => [g.narrow(packed, 0, 2 * d)?, g.narrow(packed, 2 * d, d)?],
            Feedback::Lstm => [packed, packed],
        };
        let state = |(name, init): (&&'static str, &StateInit)| FoldState {
            name,
            width: d,
            init: *init,
        };
        let states: Vec<FoldState<'_>> = self
            .kind
            .states()
            .iter()
            .zip(&self.init)
            .map(state)
            .collect();
        let made = g.fold(&states, |g, before| {
            let moved = g.apply(&self.linear("hidden"), before[0])?;
            self.kind.step(g, x, moved, before)
        })?;
        Ok(made[..1].to_vec())
    }
}

/// The layer: `out(h)` of the cell. Parameters `in.weight`, `in.bias`, `hidden.weight`, `hidden.bias`, `h0` and `c0` (learned initial
/// states), `out.weight`, `out.bias`.
pub struct Rnn {
    /// The cell.
    pub kind: Feedback,
    /// D, channels of a state.
    pub channels: usize,
    /// Whether the linear maps have a bias.
    pub bias: bool,
    /// Whether the initial states are learned (they begin as zeros).
    pub learned_state: bool,
    /// Whether a linear map leads back to the model's width.
    pub projection: bool,
}

impl Layer for Rnn {
    fn name(&self) -> &str {
        "rnn"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let init = |name: &&str| match self.learned_state {
            false => Ok(StateInit::Zero),
            true => {
                let role = Role::Weight {
                    init: Init::Constant(0.0),
                    decay: false,
                };
                let param = g.param(&format!("{name}0"), &[self.channels], role)?;
                Ok(StateInit::Learned(param))
            }
        };
        let init: Result<Vec<StateInit>> = self.kind.states().iter().map(init).collect();
        let cell = Cell {
            kind: self.kind,
            channels: self.channels,
            bias: self.bias,
            init: init?,
        };
        let h = g.apply(&cell, x[0])?;
        if !self.projection {
            return Ok(vec![h]);
        }
        Ok(vec![g.apply(&Linear::new("out", width, self.bias), h)?])
    }
}
