//! Hyena: a convolution as long as the sequence, whose taps a small network makes.

use super::{CausalConv, Mixer};
use crate::error::Result;
use crate::graph::{Graph, Unary, Value};
use crate::spec::{Init, Role};

/// Numbers of the positional code of a tap.
const CODE: usize = 3;
/// The filter network's layers between its first and its last.
const INNER: usize = 2;
/// What taps have decayed to where their window ends: fast channels after 0.3 of it, slow ones after 1.5.
const TARGET: f64 = 1e-2;
const FAST: f64 = 0.3;
const SLOW: f64 = 1.5;
/// The frequency of the positional code in turns of the whole window, as in the papers' code, whose first one is nearly 0.
const FREQUENCY: f64 = 1e-4;

/// Hyena of order 2 (arXiv 2302.10866): `[x0 | x1 | v]` through a convolution of 3 taps, then `y = x0 * (filter(v * x1) + bias * (v * x1))`.
/// The filter has as many taps as the longest sequence has steps, L; tap j is `network(code[j]) * exp(-j / (L - 1) * rate)`, of sines, with
/// `code[j] = [j / (L - 1), cos w, -sin w]`, `w = 2 pi 1e-4 j / L`. A step keeps the last L - 1 inputs: a window of L - 1 rows of D.
/// Parameters, in the scope `hyena`: `short.depthwise.weight [3, 3 D]`, `short.depthwise.bias`; `filter.code [L, 3]` and `filter.rate [D]`,
/// which are not trained; `filter.in.weight [3, W]`, `filter.in.bias`, `filter.inner.0.weight [W, W]`, `.bias`, `filter.inner.1..`,
/// `filter.out.weight [W, D]`, `filter.frequency [W]`, `filter.bias [D]`; states `conv [2, 3 D]`, `filter.conv [L - 1, D]`, `n [1]`, the steps
/// so far. A step beyond L is refused.
#[derive(Debug, Clone)]
pub struct Hyena {
    /// D.
    pub channels: usize,
    /// L, at least 2.
    pub longest: usize,
    /// W, channels of the filter network.
    pub filter_width: usize,
}

impl Mixer for Hyena {
    /// x1 and v.
    fn along(&self) -> usize {
        2 * self.channels
    }
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        let short = CausalConv {
            kernel: 3,
            bias: true,
        };
        g.scope("hyena", |g| {
            let x = g.scope("short", |g| g.apply(&short, x))?;
            let [x0, x1, v] = g.split::<3>(x)?;
            let v = g.mul(v, x1)?;
            let y = g.scope("filter", |g| self.filter(g, v))?;
            // Divided by 1 where the step is one that the filter has a tap for.
            let inside = g.limited("n", v, self.longest)?;
            let y = g.div(y, inside)?;
            g.mul(x0, y)
        })
    }
}

impl Hyena {
    fn filter(&self, g: &mut Graph, v: Value) -> Result<Value> {
        let taps = self.taps(g)?;
        let y = g.convolution("conv", v, taps)?;
        let role = Role::Weight {
            init: Init::Normal { std: 1.0 },
            decay: false,
        };
        let bias = g.param("bias", &[self.channels], role)?;
        let bias = g.read(bias)?;
        let now = g.mul(v, bias)?;
        g.add(y, now)
    }

    /// `[L, D]`.
    fn taps(&self, g: &mut Graph) -> Result<Value> {
        let (d, w) = (self.channels, self.filter_width);
        let values = self.code();
        let code = g.param("code", &[self.longest, CODE], Role::Buffer { values })?;
        let code = g.read(code)?;
        let role = Role::Weight {
            init: Init::Constant(1.0),
            decay: false,
        };
        let frequency = g.param("frequency", &[w], role)?;
        let frequency = g.read(frequency)?;
        let mut x = g.scope("in", |g| linear(g, code, w, true))?;
        x = sine(g, x, frequency)?;
        for i in 0..INNER {
            x = g.scope("inner", |g| {
                g.scope(i.to_string(), |g| linear(g, x, w, true))
            })?;
            x = sine(g, x, frequency)?;
        }
        let taps = g.scope("out", |g| linear(g, x, d, false))?;
        let values = self.rates();
        let rate = g.param("rate", &[d], Role::Buffer { values })?;
        let rate = g.read(rate)?;
        let at = g.narrow(code, 0, 1)?;
        let fallen = g.matmul(at, rate)?;
        let fallen = g.unary(Unary::Neg, fallen)?;
        let window = g.unary(Unary::Exp, fallen)?;
        g.mul(taps, window)
    }

    fn code(&self) -> Vec<f32> {
        let row = |j: usize| {
            let (at, all) = (j as f64, self.longest as f64);
            let angle = std::f64::consts::TAU * FREQUENCY * at / all;
            [at / (all - 1.0), libm::cos(angle), -libm::sin(angle)].map(|v| v as f32)
        };
        (0..self.longest).flat_map(row).collect()
    }

    /// How fast channels decay: evenly from slow to fast.
    fn rates(&self) -> Vec<f32> {
        let whole = -libm::log(TARGET);
        let (slow, fast) = (whole / SLOW, whole / FAST);
        let steps = self.channels.saturating_sub(1).max(1) as f64;
        let rate = |c: usize| (slow + (fast - slow) * c as f64 / steps) as f32;
        (0..self.channels).map(rate).collect()
    }
}

/// A linear map of what is computed from parameters alone.
fn linear(g: &mut Graph, x: Value, outputs: usize, bias: bool) -> Result<Value> {
    let inputs = g.width(x);
    let init = Init::linear(inputs);
    let role = |decay| Role::Weight {
        init: init.clone(),
        decay,
    };
    let weight = g.param("weight", &[inputs, outputs], role(true))?;
    let weight = g.read(weight)?;
    let y = g.matmul(x, weight)?;
    if !bias {
        return Ok(y);
    }
    let bias = g.param("bias", &[outputs], role(false))?;
    let bias = g.read(bias)?;
    g.add(y, bias)
}

fn sine(g: &mut Graph, x: Value, frequency: Value) -> Result<Value> {
    let x = g.mul(x, frequency)?;
    g.unary(Unary::Sin, x)
}
