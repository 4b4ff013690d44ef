//! The scan of the selective state spaces: step sizes to decays, outer product, recurrence, readout.

use crate::error::Result;
use crate::graph::{Fused, Graph, Layer, Param, StateInit, Unary, Value};
use crate::spec::{Init, Role};

/// How the decays of a unit of step size are given, and begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rates {
    /// One for each state of each channel: 1 to N.
    EachState,
    /// One for each head, uniform in a range.
    EachHead {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
}

/// Channels d in heads of P (head i is d / P), heads in G groups, each channel with N states:
/// `h[d, n] = exp(s[i] A) h[d, n] + s[i] x[d] b[g, n]`, `y[d] = sum_n h[d, n] c[g, n] + D[i] x[d]`, A = -exp(A_log).
/// Takes `s [B, T, D / P]`, `x [B, T, D]`, `b` and `c` `[B, T, G N]`.
/// Parameters `A_log` (`[D N]`, or `[D / P]` where a head has one), `D [D / P]`; state `h [D N]`.
#[derive(Debug, Clone, Copy)]
pub struct SelectiveScan {
    /// N.
    pub states: usize,
    /// P.
    pub head_channels: usize,
    /// G.
    pub groups: usize,
    /// The decays.
    pub rates: Rates,
}

impl SelectiveScan {
    /// The result of `[s, x, b, c]`.
    pub(super) fn of(&self, g: &mut Graph, inputs: [Value; 4]) -> Result<Value> {
        let results = g.call(self, &inputs)?;
        Ok(results[0])
    }

    /// A = -exp(A_log).
    fn rates(&self, g: &mut Graph, heads: usize) -> Result<Value> {
        let log = match self.rates {
            Rates::EachState => {
                let width = heads * self.head_channels * self.states;
                let init = Init::LogRange { count: self.states };
                weight(g, "A_log", width, init)?
            }
            Rates::EachHead { min, max } => {
                weight(g, "A_log", heads, Init::LogOfUniform { min, max })?
            }
        };
        let log = g.read(log)?;
        let size = g.unary(Unary::Exp, log)?;
        g.unary(Unary::Neg, size)
    }

    /// Each value of a head for its channels.
    fn of_channels(&self, g: &mut Graph, x: Value) -> Result<Value> {
        match self.head_channels {
            1 => Ok(x),
            times => g.repeat(x, 1, times),
        }
    }

    /// `exp(s A)` of every state, and s of every channel.
    fn decays(&self, g: &mut Graph, step: Value) -> Result<[Value; 2]> {
        let (n, p) = (self.states, self.head_channels);
        let rate = self.rates(g, g.width(step))?;
        match self.rates {
            Rates::EachState => {
                let step = self.of_channels(g, step)?;
                let wide = g.repeat(step, 1, n)?;
                let decay = g.mul(wide, rate)?;
                Ok([g.unary(Unary::Exp, decay)?, step])
            }
            Rates::EachHead { .. } => {
                let decay = g.mul(step, rate)?;
                let a = g.unary(Unary::Exp, decay)?;
                let a = g.repeat(a, 1, p * n)?;
                Ok([a, g.repeat(step, 1, p)?])
            }
        }
    }

    fn check(&self, g: &Graph, [step, x, b, c]: [Value; 4]) -> Result<()> {
        let d = g.width(step) * self.head_channels;
        let wide = self.groups * self.states;
        let fits = g.width(x) == d && g.width(b) == wide && g.width(c) == wide;
        let divides = self.groups > 0 && g.width(step).is_multiple_of(self.groups);
        if fits && divides && d > 0 && wide > 0 {
            return Ok(());
        }
        let widths = [step, x, b, c].map(|v| g.width(v));
        let Self {
            states,
            head_channels,
            groups,
            ..
        } = self;
        Err(g.shape_error(
            "selective scan",
            format!(
                "of {states} states, heads of {head_channels} channels and {groups} groups takes step sizes, x, b and c that fit; \
                 they have {widths:?} channels"
            ),
        ))
    }
}

impl Layer for SelectiveScan {
    fn name(&self) -> &str {
        ""
    }
    fn fused(&self) -> Option<Fused> {
        Some(Fused::SelectiveScan {
            states: self.states,
            head_channels: self.head_channels,
            groups: self.groups,
            shared: matches!(self.rates, Rates::EachHead { .. }),
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let [step, x, b, c] = x[..] else {
            return Err(g.shape_error("selective scan", "takes step sizes, x, b and c"));
        };
        self.check(g, [step, x, b, c])?;
        let (n, heads) = (self.states, g.width(step));
        let times = heads / self.groups * self.head_channels;
        let [a, step] = self.decays(g, step)?;
        let fed = g.mul(step, x)?;
        let (fed, b) = (g.repeat(fed, 1, n)?, g.repeat(b, n, times)?);
        let fed = g.mul(fed, b)?;
        let h = g.recurrence("h", a, fed, StateInit::Zero)?;
        let c = g.repeat(c, n, times)?;
        let read = g.mul(h, c)?;
        let y = g.sum(read, n)?;
        let skip = weight(g, "D", heads, Init::Constant(1.0))?;
        let skip = g.read(skip)?;
        let skip = self.of_channels(g, skip)?;
        let past = g.mul(x, skip)?;
        Ok(vec![g.add(y, past)?])
    }
}

/// A vector of parameters without weight decay.
pub(super) fn weight(g: &mut Graph, name: &str, width: usize, init: Init) -> Result<Param> {
    g.param(name, &[width], Role::Weight { init, decay: false })
}
