//! Normalisation over the channels.

use crate::error::Result;
use crate::graph::{Fused, Graph, Layer, Unary, Value};
use crate::spec::{Init, Role};

/// Normalisation over the channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// `x / sqrt(mean(x^2) + eps) * weight`. Parameter `weight`.
    Rms {
        /// Under the root; above 0.
        eps: f64,
    },
    /// `(x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias`. Parameters `weight`, `bias`.
    Layer {
        /// Under the root; above 0.
        eps: f64,
    },
}

impl Norm {
    /// The usual epsilon.
    pub const EPS: f64 = 1e-5;
}

impl Layer for Norm {
    fn name(&self) -> &str {
        "norm"
    }
    fn fused(&self) -> Option<Fused> {
        Some(match self {
            Self::Rms { eps } => Fused::RmsNorm { eps: *eps },
            Self::Layer { eps } => Fused::LayerNorm { eps: *eps },
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let (Self::Rms { eps } | Self::Layer { eps }) = *self;
        if !(eps as f32 > 0.0 && eps.is_finite()) {
            let what = format!("takes an eps above 0, got {eps:e}");
            return Err(g.shape_error("norm", what));
        }
        let role = |c| Role::Weight {
            init: Init::Constant(c),
            decay: false,
        };
        let weight = g.param("weight", &[width], role(1.0))?;
        let bias = match self {
            Self::Rms { .. } => None,
            Self::Layer { .. } => Some(g.param("bias", &[width], role(0.0))?),
        };
        let centred = match self {
            Self::Rms { .. } => x[0],
            Self::Layer { .. } => {
                let mean = g.mean_of_all(x[0])?;
                g.sub(x[0], mean)?
            }
        };
        let square = g.mul(centred, centred)?;
        let mean_square = g.mean_of_all(square)?;
        let shifted = g.affine(mean_square, 1.0, eps)?;
        let root = g.unary(Unary::Sqrt, shifted)?;
        let unit = g.div(centred, root)?;
        let weight = g.read(weight)?;
        let mut y = g.mul(unit, weight)?;
        if let Some(param) = bias {
            let bias = g.read(param)?;
            y = g.add(y, bias)?;
        }
        Ok(vec![y])
    }
}
