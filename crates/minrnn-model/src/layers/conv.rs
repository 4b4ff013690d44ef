//! Causal convolution over time.

use crate::error::Result;
use crate::graph::{Fused, Graph, Holds, Layer, Op, StateInit, Value};
use crate::spec::{Init, Role};

/// Depthwise causal convolution: `y[t] = sum_j weight[j] * x[t - (k-1) + j]` summed in the order of j, plus bias.
/// Parameters `weight [k, width]`, `bias [width]`; state `conv`, the last k-1 inputs, begins with zeros.
#[derive(Debug, Clone)]
pub struct CausalConv {
    /// k, steps it sees.
    pub kernel: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Layer for CausalConv {
    fn name(&self) -> &str {
        "depthwise"
    }
    fn fused(&self) -> Option<Fused> {
        Some(Fused::CausalConv {
            kernel: self.kernel,
            bias: self.bias,
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        if self.kernel == 0 {
            return Err(g.shape_error("convolution", "has kernel 0; it must see at least one step"));
        }
        let width = g.width(x[0]);
        let role = Role::Weight {
            init: Init::linear(self.kernel),
            decay: true,
        };
        let weight = g.param("weight", &[self.kernel, width], role)?;
        let lag = self.kernel - 1;
        let state = if lag > 0 {
            Some(g.state("conv", width, Holds::Window { lag }, StateInit::Zero)?)
        } else {
            None
        };
        let taps = g.read(weight)?;
        let mut sum = None;
        for row in 0..self.kernel {
            let by = lag - row;
            let past = match state {
                Some(state) => g.op(Op::Delay { state, by }, x)?,
                None => x[0],
            };
            let tap = g.op(Op::Row { row }, &[taps])?;
            let term = g.mul(past, tap)?;
            sum = Some(match sum {
                Some(sum) => g.add(sum, term)?,
                None => term,
            });
        }
        let mut y = sum.expect("kernel is at least 1");
        if self.bias {
            let role = Role::Weight {
                init: Init::Constant(0.0),
                decay: false,
            };
            let param = g.param("bias", &[width], role)?;
            let bias = g.read(param)?;
            y = g.add(y, bias)?;
        }
        Ok(vec![y])
    }
}
