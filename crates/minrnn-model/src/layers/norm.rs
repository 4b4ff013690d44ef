//! Normalisation over the channels.

use serde::{Deserialize, Serialize};

use super::Layer;
use crate::error::Result;
use crate::graph::{Fused, Graph, Op, Unary, Value};
use crate::params::{Init, Role};

const EPS: f64 = 1e-5;

/// Normalisation over the channels, epsilon 1e-5 under the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// `x / sqrt(mean(x^2) + eps) * weight`. Parameter `weight`.
    Rms,
    /// `(x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias`. Parameters `weight`, `bias`.
    Layer,
}

impl Layer for Norm {
    fn name(&self) -> &str {
        "norm"
    }
    fn fused(&self) -> Option<Fused> {
        Some(match self {
            Self::Rms => Fused::RmsNorm { eps: EPS },
            Self::Layer => Fused::LayerNorm { eps: EPS },
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let role = |c| Role::Weight {
            init: Init::Constant(c),
            decay: false,
        };
        let weight = g.param("weight", &[width], role(1.0))?;
        let bias = match self {
            Self::Rms => None,
            Self::Layer => Some(g.param("bias", &[width], role(0.0))?),
        };
        let centred = match self {
            Self::Rms => x[0],
            Self::Layer => {
                let mean = g.op(Op::Mean, x)?;
                g.sub(x[0], mean)?
            }
        };
        let square = g.mul(centred, centred)?;
        let mean_square = g.op(Op::Mean, &[square])?;
        let shifted = g.affine(mean_square, 1.0, EPS)?;
        let root = g.unary(Unary::Sqrt, shifted)?;
        let unit = g.div(centred, root)?;
        let mut y = g.op(
            Op::MulVec {
                param: weight,
                row: 0,
            },
            &[unit],
        )?;
        if let Some(param) = bias {
            y = g.op(Op::AddVec { param, row: 0 }, &[y])?;
        }
        Ok(vec![y])
    }
}
