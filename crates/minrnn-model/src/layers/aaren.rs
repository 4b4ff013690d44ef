//! Attention with a query of its own as a recurrence.

use super::Mixer;
use crate::error::Result;
use crate::graph::{Binary, Graph, Law, Op, StateInit, Unary, Value};
use crate::spec::{Init, Role};

/// Where the largest score begins: below every score, and finite.
const LOWEST: f32 = -1e30;

/// Aaren (arXiv 2405.13956): softmax attention of one learned query over all steps so far, head by head, as a recurrence. Of a head of P
/// channels with the score `s = q k / sqrt(P)`: `m[t] = max(m[t-1], s)`, `a = exp(m[t-1] - m[t])`, `p = exp(s - m[t])`, `c = a c + p`,
/// `h = a h + p v`, `y = h / c`. Takes `[k | v]`. Parameter, in the scope `attend`: `query [D]`; states `m`, `c [D / P]`, `h [D]`.
#[derive(Debug, Clone)]
pub struct Aaren {
    /// D.
    pub channels: usize,
    /// P, divides D.
    pub head_channels: usize,
}

impl Mixer for Aaren {
    /// v.
    fn along(&self) -> usize {
        self.channels
    }
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        g.scope("attend", |g| self.body(g, x))
    }
}

impl Aaren {
    fn body(&self, g: &mut Graph, x: Value) -> Result<Value> {
        let (d, p) = (self.channels, self.head_channels);
        let [k, v] = g.split::<2>(x)?;
        let role = Role::Weight {
            init: Init::Normal { std: 1.0 },
            decay: false,
        };
        let query = g.param("query", &[d], role)?;
        let query = g.read(query)?;
        let products = g.mul(k, query)?;
        let score = g.sum(products, p)?;
        let score = g.affine(score, 1.0 / libm::sqrt(p as f64), 0.0)?;
        let most = g.recur("m", Law::Max, &[score], StateInit::Constant(LOWEST))?;
        let before = g.before(most)?;
        let [a, weight] = [before, score].map(|x| {
            let below = g.op(Op::Binary(Binary::Sub), &[x, most])?;
            g.unary(Unary::Exp, below)
        });
        let (a, weight) = (a?, weight?);
        let sum = g.recurrence("c", a, weight, StateInit::Zero)?;
        let wide = |g: &mut Graph, x: Value| match p {
            1 => Ok(x),
            _ => g.repeat(x, 1, p),
        };
        let (a, weight) = (wide(g, a)?, wide(g, weight)?);
        let b = g.mul(weight, v)?;
        // As wide as v, so that a repeated decay is made.
        let h = g.recurrence("h", a, b, StateInit::Zero)?;
        let sum = wide(g, sum)?;
        g.div(h, sum)
    }
}
