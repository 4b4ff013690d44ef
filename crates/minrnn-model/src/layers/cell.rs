//! The paper's recurrent cells and the layer around a cell.

use super::Linear;
use crate::error::Result;
use crate::graph::{Candidate, Fused, Graph, Layer, StateInit, Unary, Value};
use crate::spec::{Init, Role};

/// The candidate's activation of `v`.
fn candidate(kind: Candidate, g: &mut Graph, v: Value) -> Result<Value> {
    if kind == Candidate::Linear {
        return Ok(v);
    }
    let positive = g.unary(Unary::Relu, v)?;
    let minus = g.unary(Unary::Neg, v)?;
    let negative = g.unary(Unary::Relu, minus)?;
    let folded = g.unary(Unary::Neg, negative)?;
    let sigmoid = g.unary(Unary::Sigmoid, folded)?;
    g.add(positive, sigmoid)
}

/// A cell: from one packed pre-activation `[B, T, parts * D]` to `h [B, T, D]`.
pub trait Gates {
    /// How many vectors of D channels the packed pre-activation holds.
    fn parts(&self) -> usize;
    /// How the packed bias begins so that channels forget with time scales in `[min, max]` steps.
    fn time_scale(&self, channels: usize, min: f64, max: f64) -> Init;
    /// What a learned initial state is at first, in all channels.
    fn first_state(&self) -> f64 {
        0.0
    }
    /// The cell as a layer, its state beginning with `init`.
    fn cell(&self, init: StateInit) -> Box<dyn Layer>;
}

impl<G: Gates + ?Sized> Gates for &G {
    fn parts(&self) -> usize {
        (**self).parts()
    }
    fn time_scale(&self, channels: usize, min: f64, max: f64) -> Init {
        (**self).time_scale(channels, min, max)
    }
    fn first_state(&self) -> f64 {
        (**self).first_state()
    }
    fn cell(&self, init: StateInit) -> Box<dyn Layer> {
        (**self).cell(init)
    }
}

/// minGRU (paper, algorithms 5 and 6): `z = sigmoid(k)`, `h[t] = (1 - z) h[t-1] + z c`, `c = g(v)` or `v`; packed `[k | v]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinGru {
    /// The candidate's activation.
    pub candidate: Candidate,
}

/// minLSTM (paper, algorithms 7 and 8): `f = sigmoid(p)`, `i = sigmoid(q)`, `h[t] = f' h[t-1] + i' c`; packed `[p | q | v]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinLstm {
    /// The candidate's activation.
    pub candidate: Candidate,
    /// `f' = f / (f + i)`, `i' = i / (f + i)`; otherwise f and i themselves, and h may grow with T.
    pub normalize: bool,
}

impl Gates for MinGru {
    fn parts(&self) -> usize {
        2
    }
    fn time_scale(&self, channels: usize, min: f64, max: f64) -> Init {
        Init::Parts(vec![
            (
                channels,
                Init::TimeScale {
                    min,
                    max,
                    sign: -1.0,
                },
            ),
            (channels, Init::Constant(0.0)),
        ])
    }
    fn cell(&self, init: StateInit) -> Box<dyn Layer> {
        Box::new(Cell {
            gates: *self,
            fused: Fused::MinGru {
                candidate: self.candidate,
            },
            init,
        })
    }
}

impl Gates for MinLstm {
    fn parts(&self) -> usize {
        3
    }
    /// With `q = -p`, `f + i = 1`: the same bias is right with and without normalisation.
    fn time_scale(&self, channels: usize, min: f64, max: f64) -> Init {
        let scale = |sign| Init::TimeScale { min, max, sign };
        Init::Parts(vec![
            (channels, scale(1.0)),
            (channels, scale(-1.0)),
            (channels, Init::Constant(0.0)),
        ])
    }
    fn cell(&self, init: StateInit) -> Box<dyn Layer> {
        let fused = Fused::MinLstm {
            candidate: self.candidate,
            normalize: self.normalize,
        };
        Box::new(Cell {
            gates: *self,
            fused,
            init,
        })
    }
}

/// A cell with its state.
struct Cell<C> {
    gates: C,
    fused: Fused,
    init: StateInit,
}

/// How a cell's gates become `a` and `b` of the recurrence.
trait Recurrence {
    fn a_and_b(&self, g: &mut Graph, packed: Value) -> Result<(Value, Value)>;
}

impl<C: Recurrence> Layer for Cell<C> {
    fn name(&self) -> &str {
        "cell"
    }
    fn fused(&self) -> Option<Fused> {
        Some(self.fused)
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let (a, b) = self.gates.a_and_b(g, x[0])?;
        Ok(vec![g.recurrence("h", a, b, self.init)?])
    }
}

impl Recurrence for MinGru {
    fn a_and_b(&self, g: &mut Graph, packed: Value) -> Result<(Value, Value)> {
        let [k, v] = g.split::<2>(packed)?;
        let minus = g.unary(Unary::Neg, k)?;
        let a = g.unary(Unary::Sigmoid, minus)?;
        let z = g.unary(Unary::Sigmoid, k)?;
        let c = candidate(self.candidate, g, v)?;
        Ok((a, g.mul(z, c)?))
    }
}

impl Recurrence for MinLstm {
    fn a_and_b(&self, g: &mut Graph, packed: Value) -> Result<(Value, Value)> {
        let [p, q, v] = g.split::<3>(packed)?;
        let c = candidate(self.candidate, g, v)?;
        if !self.normalize {
            let f = g.unary(Unary::Sigmoid, p)?;
            let i = g.unary(Unary::Sigmoid, q)?;
            return Ok((f, g.mul(i, c)?));
        }
        // With m = min(0, p, q): f : i = (e^m + e^(m-q)) : (e^m + e^(m-p)), every exponent at most 0, one of them exactly 0.
        let lower = g.min(p, q)?;
        let above = g.unary(Unary::Neg, lower)?;
        let depth = g.unary(Unary::Relu, above)?;
        let m = g.unary(Unary::Neg, depth)?;
        let e = g.unary(Unary::Exp, m)?;
        let [forget, input] = [q, p].map(|other| {
            let d = g.sub(m, other)?;
            let e_d = g.unary(Unary::Exp, d)?;
            g.add(e, e_d)
        });
        let (forget, input) = (forget?, input?);
        let sum = g.add(forget, input)?;
        let a = g.div(forget, sum)?;
        let i = g.div(input, sum)?;
        Ok((a, g.mul(i, c)?))
    }
}

/// The recurrent layer: `out(cell(in x))`. Parameters `in.weight`, `in.bias`, `h0` (learned initial state), `out.weight`, `out.bias`.
pub struct Recurrent<C> {
    /// The cell.
    pub gates: C,
    /// D, channels of the state.
    pub channels: usize,
    /// Whether the linear maps have a bias.
    pub bias: bool,
    /// Time scales `[min, max]` in steps that the gates begin with; `None`: bias 0. Needs `bias`.
    pub time_scale: Option<(f64, f64)>,
    /// Whether the initial state is learned (begins as the cell says; a given state enters as it is, g is never applied to it).
    pub learned_state: bool,
    /// Whether a linear map leads back to the model's width.
    pub projection: bool,
}

impl<C: Gates> Layer for Recurrent<C> {
    fn name(&self) -> &str {
        "rnn"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let first = match self.time_scale {
            Some((min, max)) => self.gates.time_scale(self.channels, min, max),
            None => Init::Constant(0.0),
        };
        let outputs = self.gates.parts() * self.channels;
        let inner = Linear {
            name: "in".into(),
            outputs,
            bias: self.bias.then_some(first),
            decay: false,
        };
        let packed = g.apply(&inner, x[0])?;
        let init = if self.learned_state {
            let role = Role::Weight {
                init: Init::Constant(self.gates.first_state()),
                decay: false,
            };
            StateInit::Learned(g.param("h0", &[self.channels], role)?)
        } else {
            StateInit::Zero
        };
        let h = g.apply(&*self.gates.cell(init), packed)?;
        if !self.projection {
            return Ok(vec![h]);
        }
        Ok(vec![g.apply(&Linear::new("out", width, self.bias), h)?])
    }
}
