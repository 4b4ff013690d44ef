//! minGRU whose channels can turn their sign.

use super::Gates;
use crate::error::Result;
use crate::graph::{Graph, Layer, StateInit, Unary, Value};
use crate::spec::Init;

/// Signed minGRU: `a = tanh(k)`, `h[t] = a h[t-1] + (1 - |a|) v`, and what comes out is `h sigmoid(o)`; packed `[k | v | o]`. The decay of
/// the paper's cells is in (0, 1); one in (-1, 1) can count modulo two, which they cannot (arXiv 2411.12537).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedMinGru;

impl Gates for SignedMinGru {
    fn parts(&self) -> usize {
        3
    }
    /// All channels keep their sign at first.
    fn time_scale(&self, channels: usize, min: f64, max: f64) -> Init {
        Init::Parts(vec![
            (channels, Init::SignedTimeScale { min, max }),
            (2 * channels, Init::Constant(0.0)),
        ])
    }
    /// A channel that turns its sign and takes nothing in needs something to turn.
    fn first_state(&self) -> f64 {
        1.0
    }
    fn cell(&self, init: StateInit) -> Box<dyn Layer> {
        Box::new(Cell { init })
    }
}

/// The cell with its state.
struct Cell {
    init: StateInit,
}

impl Layer for Cell {
    fn name(&self) -> &str {
        "cell"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let [k, v, o] = g.split::<3>(x[0])?;
        let a = g.unary(Unary::Tanh, k)?;
        let size = g.unary(Unary::Abs, a)?;
        let rest = g.affine(size, -1.0, 1.0)?;
        let b = g.mul(rest, v)?;
        let h = g.recurrence("h", a, b, self.init)?;
        let gate = g.unary(Unary::Sigmoid, o)?;
        Ok(vec![g.mul(h, gate)?])
    }
}
