//! Feed-forward layers.

use serde::{Deserialize, Serialize};

use super::Linear;
use crate::error::Result;
use crate::graph::{Fused, Graph, Layer, Unary, Value};

/// Activation of a feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x/2 * (1 + erf(x / sqrt 2))`.
    Gelu,
    /// `x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Layer for Activation {
    fn name(&self) -> &str {
        ""
    }
    fn fused(&self) -> Option<Fused> {
        Some(match self {
            Self::Gelu => Fused::GeluErf,
            Self::GeluTanh => Fused::GeluTanh,
            Self::Silu => Fused::Silu,
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let x = x[0];
        let factor = match self {
            Self::Gelu => {
                let scaled = g.affine(x, std::f64::consts::FRAC_1_SQRT_2, 0.0)?;
                g.unary(Unary::Erf, scaled)?
            }
            Self::GeluTanh => {
                let square = g.mul(x, x)?;
                let poly = g.affine(square, 0.044715, 1.0)?;
                let inner = g.mul(x, poly)?;
                let scaled = g.affine(
                    inner,
                    std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2,
                    0.0,
                )?;
                g.unary(Unary::Tanh, scaled)?
            }
            Self::Silu => {
                let gate = g.unary(Unary::Sigmoid, x)?;
                return Ok(vec![g.mul(x, gate)?]);
            }
        };
        let half = g.affine(factor, 0.5, 0.5)?;
        Ok(vec![g.mul(x, half)?])
    }
}

/// `down(activation(up x))`, or gated: `down(activation(up_a x) * up_b x)` with both parts in one matrix.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// Channels inside.
    pub hidden: usize,
    /// The activation.
    pub activation: Activation,
    /// Whether a second linear part multiplies the activated one.
    pub gated: bool,
    /// Whether both linear maps have a bias.
    pub bias: bool,
}

impl Layer for Mlp {
    fn name(&self) -> &str {
        "mlp"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let parts = if self.gated { 2 } else { 1 };
        let up = g.apply(&Linear::new("up", parts * self.hidden, self.bias), x[0])?;
        let inner = if self.gated {
            let [a, b] = g.split::<2>(up)?;
            let a = g.apply(&self.activation, a)?;
            g.mul(a, b)?
        } else {
            g.apply(&self.activation, up)?
        };
        Ok(vec![
            g.apply(&Linear::new("down", width, self.bias), inner)?,
        ])
    }
}
