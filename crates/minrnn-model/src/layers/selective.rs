//! Selective state spaces: recurrences whose decay, input and readout follow from the input.

use super::selective_scan::{Rates, SelectiveScan, weight};
use super::{Activation, Linear, Mixer, Norm};
use crate::error::Result;
use crate::graph::{Fused, Graph, Layer, Unary, Value};
use crate::spec::Init;

/// Smaller step sizes begin as this one, as in the papers' code.
const FLOOR: f64 = 1e-4;

/// `ln(1 + e^x)`, without overflow, as exact for small results as for large ones: `max(x, 0) + ln u + (e - (u - 1)) / u` with
/// `e = exp(-|x|)` and `u = 1 + e`, of which the last summand is what u lost of e in rounding.
///
/// # Errors
/// See [`Graph::op`].
pub fn softplus(g: &mut Graph, x: Value) -> Result<Value> {
    g.apply(&Softplus, x)
}

struct Softplus;

impl Layer for Softplus {
    fn name(&self) -> &str {
        ""
    }
    fn fused(&self) -> Option<Fused> {
        Some(Fused::Softplus)
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let x = x[0];
        let size = g.unary(Unary::Abs, x)?;
        let minus = g.unary(Unary::Neg, size)?;
        let e = g.unary(Unary::Exp, minus)?;
        let u = g.affine(e, 1.0, 1.0)?;
        let kept = g.affine(u, 1.0, -1.0)?;
        let lost = g.sub(e, kept)?;
        let lost = g.div(lost, u)?;
        let log = g.unary(Unary::Log, u)?;
        let low = g.add(log, lost)?;
        let high = g.unary(Unary::Relu, x)?;
        Ok(vec![g.add(high, low)?])
    }
}

/// Mamba's selective state space (arXiv 2312.00752, algorithm 2): each of D channels has N states,
/// `h[d, n] = exp(s[d] A[d, n]) h[d, n] + s[d] x[d] b[n]`, `y[d] = sum_n h[d, n] c[n] + D[d] x[d]`, A = -exp(A_log); `s = softplus(dt)`
/// through R channels, b and c come from x.
/// Parameters, in the scope `ssm`: `x.weight [D, R + 2N]`, `dt.weight [R, D]`, `dt.bias [D]`, `A_log [D N]`, `D [D]`; state `h [D N]`.
#[derive(Debug, Clone)]
pub struct S6 {
    /// D.
    pub channels: usize,
    /// N.
    pub states: usize,
    /// R.
    pub rank: usize,
    /// Smallest and largest step size that channels begin with.
    pub step: (f64, f64),
}

/// Mamba-2's selective state space (arXiv 2405.21060): channels in heads of P, one decay a head,
/// `h[p, n] = exp(s A) h[p, n] + s x[p] b[n]`, `y[p] = sum_n h[p, n] c[n] + D x[p]`, A = -exp(A_log), `s = softplus(dt + dt_bias)`; the
/// heads of a group share b and c. Takes `[x | b | c]` and, apart, dt. The gate is followed by an RMSNorm over groups of channels.
/// Parameters, in the scope `ssm`: `dt_bias`, `A_log`, `D [D / P]`; state `h [D N]`; of the gate `norm.weight [D]`.
#[derive(Debug, Clone)]
pub struct Ssd {
    /// D.
    pub channels: usize,
    /// N.
    pub states: usize,
    /// P, divides D.
    pub head_channels: usize,
    /// G, divides D / P.
    pub groups: usize,
    /// Groups of the gate's norm; divides D.
    pub norm_groups: usize,
    /// Of that norm.
    pub eps: f64,
    /// Smallest and largest step size that heads begin with.
    pub step: (f64, f64),
    /// Smallest and largest -A that heads begin with.
    pub rate: (f64, f64),
}

impl Mixer for S6 {
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        g.scope("ssm", |g| self.body(g, x))
    }
}

impl S6 {
    fn body(&self, g: &mut Graph, x: Value) -> Result<Value> {
        let (d, n, r) = (self.channels, self.states, self.rank);
        let packed = g.apply(&Linear::new("x", r + 2 * n, false), x)?;
        let low = g.narrow(packed, 0, r)?;
        let (b, c) = (g.narrow(packed, r, n)?, g.narrow(packed, r + n, n)?);
        let dt = Linear {
            name: "dt".into(),
            outputs: d,
            bias: Some(first_step(self.step)),
            decay: true,
        };
        let step = g.apply(&dt, low)?;
        let step = softplus(g, step)?;
        let scan = SelectiveScan {
            states: n,
            head_channels: 1,
            groups: 1,
            rates: Rates::EachState,
        };
        scan.of(g, [step, x, b, c])
    }
}

impl Mixer for Ssd {
    /// b and c.
    fn along(&self) -> usize {
        2 * self.groups * self.states
    }
    /// dt.
    fn apart(&self) -> usize {
        self.heads()
    }
    fn mix(&self, g: &mut Graph, x: Value, apart: Option<Value>) -> Result<Value> {
        let Some(dt) = apart else {
            return Err(g.shape_error("ssm", "takes step sizes apart from its input"));
        };
        g.scope("ssm", |g| self.body(g, x, dt))
    }
    fn gate(&self, g: &mut Graph, y: Value, z: Value) -> Result<Value> {
        let z = g.apply(&Activation::Silu, z)?;
        let y = g.mul(y, z)?;
        if self.norm_groups == 1 {
            return g.apply(&Norm::Rms { eps: self.eps }, y);
        }
        let norm = GroupNorm {
            groups: self.norm_groups,
            eps: self.eps,
        };
        g.apply(&norm, y)
    }
}

impl Ssd {
    fn heads(&self) -> usize {
        self.channels / self.head_channels
    }

    fn body(&self, g: &mut Graph, packed: Value, dt: Value) -> Result<Value> {
        let (d, n, p) = (self.channels, self.states, self.head_channels);
        let (heads, groups) = (self.heads(), self.groups);
        let x = g.narrow(packed, 0, d)?;
        let b = g.narrow(packed, d, groups * n)?;
        let c = g.narrow(packed, d + groups * n, groups * n)?;
        let bias = weight(g, "dt_bias", heads, first_step(self.step))?;
        let bias = g.read(bias)?;
        let step = g.add(dt, bias)?;
        let step = softplus(g, step)?;
        let (min, max) = self.rate;
        let scan = SelectiveScan {
            states: n,
            head_channels: p,
            groups,
            rates: Rates::EachHead { min, max },
        };
        scan.of(g, [step, x, b, c])
    }
}

fn first_step((min, max): (f64, f64)) -> Init {
    Init::InverseSoftplus {
        min,
        max,
        floor: FLOOR,
    }
}

/// RMSNorm over each of `groups` equal parts of the channels. Parameter `weight`.
struct GroupNorm {
    groups: usize,
    eps: f64,
}

impl Layer for GroupNorm {
    fn name(&self) -> &str {
        "norm"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let group = width / self.groups;
        let weight = weight(g, "weight", width, Init::Constant(1.0))?;
        let square = g.mul(x[0], x[0])?;
        let mean = g.mean(square, group)?;
        let shifted = g.affine(mean, 1.0, self.eps)?;
        let root = g.unary(Unary::Sqrt, shifted)?;
        let root = g.repeat(root, 1, group)?;
        let unit = g.div(x[0], root)?;
        let weight = g.read(weight)?;
        Ok(vec![g.mul(unit, weight)?])
    }
}
