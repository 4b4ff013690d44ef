//! Layers that an interpreter may run as a whole.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Graph, Param, State, Value};
use crate::error::Result;

/// A layer. Its body in primitives is its definition.
pub trait Layer {
    /// Scope of what it makes; empty: none of its own.
    fn name(&self) -> &str;
    /// What an interpreter may run in the place of the body.
    fn fused(&self) -> Option<Fused> {
        None
    }
    /// Writes the layer on arguments `x` and gives its results.
    ///
    /// # Errors
    /// Arguments that it cannot take.
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>>;
}

/// Activation of the candidate. The paper's log-space variant (appendix B) has `g`, its plain variant (appendix A) is linear;
/// they are two models, not two ways to compute one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// `g(v) = v + 0.5` for `v >= 0`, else `sigmoid(v)`; written as `relu(v) + sigmoid(-relu(-v))`.
    #[default]
    G,
    /// `v`.
    Linear,
}

/// A layer that an interpreter may run as a whole. The names say what the region's nodes compute; they are not another definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fused {
    /// `x W (+ bias)`; parameters weight, then bias.
    Linear {
        /// Whether there is a bias.
        bias: bool,
    },
    /// Input `[k | v]`, one state.
    MinGru {
        /// The candidate's activation.
        candidate: Candidate,
    },
    /// Input `[p | q | v]`, one state.
    MinLstm {
        /// The candidate's activation.
        candidate: Candidate,
        /// Whether gates are normalised to a sum of 1.
        normalize: bool,
    },
    /// Depthwise causal convolution; parameters weight `[k, width]`, then bias; one state when k > 1.
    CausalConv {
        /// Steps it sees.
        kernel: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Parameter weight.
    RmsNorm {
        /// Added to the mean square.
        eps: f64,
    },
    /// Parameters weight, bias.
    LayerNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// GELU by the error function.
    GeluErf,
    /// GELU by tanh.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `ln(1 + e^x)`.
    Softplus,
    /// Inputs step sizes `[.., D / P]`, x `[.., D]`, b and c `[.., G N]`; parameters A_log, D; one state. With A = -exp(A_log), head i and
    /// group g of channel d: `h[d, n] = exp(s[i] A) h[d, n] + s[i] x[d] b[g, n]`, `y[d] = sum_n h[d, n] c[g, n] + D[i] x[d]`.
    SelectiveScan {
        /// N, states of a channel.
        states: usize,
        /// P, channels of a head.
        head_channels: usize,
        /// G, groups of heads; those of a group share b and c.
        groups: usize,
        /// Whether a head has one A for all of its states; else every state has its own.
        shared: bool,
    },
    /// PyTorch's GRU, packed `[r | z | n]`: input x `[.., M]`; parameters `[M, 3D]`, its bias, `[D, 3D]`, its bias; state h. With
    /// `[xr | xz | xn]` and `[hr | hz | hn]` the products of x and of h: `r = sigmoid(xr + hr)`, `z = sigmoid(xz + hz)`,
    /// `n = tanh(xn + r hn)`, `h = (h - n) z + n`.
    Gru {
        /// Whether there are biases.
        bias: bool,
    },
    /// PyTorch's LSTM, packed `[i | f | g | o]`: input x `[.., M]`; parameters as those of [`Fused::Gru`] with 4D; states h, c. Of the sum of
    /// both products: `c = sigmoid(f) c + sigmoid(i) tanh(g)`, `h = sigmoid(o) tanh(c)`.
    Lstm {
        /// Whether there are biases.
        bias: bool,
    },
    /// Input x `[.., D]`; parameters log_dt, A_log, A_im, C, D; one state, `[re | im]`. With A = -exp(A_log) + i A_im and s = exp(log_dt),
    /// `h[d, n] = exp(s A) h[d, n] + (exp(s A) - 1) / A x[d]`, complex, `y[d] = 2 re sum_n C h[d, n] + D x[d]`.
    DiagonalScan {
        /// N, states of a channel: N / 2 complex numbers.
        states: usize,
    },
}

/// The nodes of one fused layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// What the nodes compute.
    pub fused: Fused,
    /// Arguments of the layer.
    pub inputs: Vec<Value>,
    /// Parameters made in the layer, in order.
    pub params: Vec<Param>,
    /// States made in the layer, in order.
    pub states: Vec<State>,
    /// The nodes, consecutive.
    pub nodes: Range<usize>,
    /// Results; nothing else of the region is used outside of it.
    pub outputs: Vec<Value>,
}
