//! Attention, and positions to go with it.

use super::gated::Mixer;
use crate::error::Result;
use crate::graph::{Graph, Layer, Op, Value};
use crate::spec::{Init, Role};

/// Causal attention of heads over a window (nanoGPT's, where the window is as long as the model has positions): each step sees its own row
/// and the last `lag` before it. Takes `[q | k | v]`; state `window`, in the scope `attend`, and the graph's counter `n`.
#[derive(Debug, Clone)]
pub struct Attention {
    /// D.
    pub channels: usize,
    /// Their number divides D.
    pub heads: usize,
    /// Rows before the present one that a step sees at most.
    pub lag: usize,
    /// Probability that a weight becomes zero in training.
    pub dropout: f64,
}

impl Mixer for Attention {
    /// k and v.
    fn along(&self) -> usize {
        2 * self.channels
    }
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        g.scope("attend", |g| {
            let q = g.narrow(x, 0, self.channels)?;
            let kv = g.narrow(x, self.channels, 2 * self.channels)?;
            let n = g.steps(x)?;
            let sizes = (self.heads, self.lag);
            g.attend_dropping("window", [q, kv, n], sizes, self.dropout)
        })
    }
}

/// `x + row n of a table`, n the number of the step from the begin on. Parameter `weight` `[N, M]`. More than N steps are an error.
#[derive(Debug, Clone)]
pub struct Positions {
    /// N.
    pub count: usize,
}

impl Layer for Positions {
    fn name(&self) -> &str {
        "position"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let init = Init::Normal { std: 0.02 };
        let role = Role::Weight { init, decay: false };
        let table = g.param("weight", &[self.count, width], role)?;
        let n = g.steps(x[0])?;
        let at = g.affine(n, 1.0, -1.0)?;
        let row = g.op(Op::Embed { table }, &[at])?;
        Ok(vec![g.add(x[0], row)?])
    }
}
