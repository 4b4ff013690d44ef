//! Mixers, and what stands around them: linear maps alone, or Mamba's convolution and gate.

use super::linear::Scaled;
use super::{Activation, CausalConv, Linear};
use crate::error::Result;
use crate::graph::{Graph, Layer, Value};

/// What mixes D channels over time between the linear maps of a block.
pub trait Mixer {
    /// Channels that it takes beside the D, which go with them through the block's convolution.
    fn along(&self) -> usize {
        0
    }
    /// Channels that it takes as the linear map gives them.
    fn apart(&self) -> usize {
        0
    }
    /// From `x [B, T, D + along]` and, if there are any, `apart [B, T, apart]` to `[B, T, D]`.
    ///
    /// # Errors
    /// Widths that it cannot take.
    fn mix(&self, g: &mut Graph, x: Value, apart: Option<Value>) -> Result<Value>;
    /// The result y, gated by z, both `[B, T, D]`: `y * silu(z)`.
    ///
    /// # Errors
    /// See [`Graph::op`].
    fn gate(&self, g: &mut Graph, y: Value, z: Value) -> Result<Value> {
        let z = g.apply(&Activation::Silu, z)?;
        g.mul(y, z)
    }
}

/// A layer of D channels as a mixer.
pub struct Whole<L>(
    /// From `[B, T, D]` to `[B, T, D]`.
    pub L,
);

impl<L: Layer> Mixer for Whole<L> {
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        g.apply(&self.0, x)
    }
}

/// `out(mixer(in x))`. Parameters `in.weight`, `in.bias`, those of the mixer, `out.weight`, `out.bias`.
pub struct Straight {
    /// The mixer.
    pub mixer: Box<dyn Mixer>,
    /// D.
    pub channels: usize,
    /// Whether the linear maps have a bias.
    pub bias: bool,
}

impl Layer for Straight {
    fn name(&self) -> &str {
        "mixer"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let width = g.width(x[0]);
        let (mixed, apart) = (self.channels + self.mixer.along(), self.mixer.apart());
        let inner = g.apply(&Linear::new("in", mixed + apart, self.bias), x[0])?;
        let (x, apart) = parts(g, inner, 0, mixed, apart)?;
        let y = self.mixer.mix(g, x, apart)?;
        Ok(vec![g.apply(&Linear::new("out", width, self.bias), y)?])
    }
}

/// Mamba's block (arXiv 2312.00752, section 3.4): `out(gate(mixer(silu(conv(x))), z))`, z, x and what the mixer takes beside it by one
/// linear map. Parameters `in.weight`, `in.bias`, `depthwise.weight`, `depthwise.bias`, those of the mixer and of its gate, `out.weight`,
/// `out.bias`; states `conv` and the mixer's.
pub struct Gated {
    /// The mixer.
    pub mixer: Box<dyn Mixer>,
    /// D.
    pub channels: usize,
    /// Steps that the convolution sees.
    pub kernel: usize,
    /// Whether the convolution has a bias.
    pub conv_bias: bool,
    /// Whether the linear maps have a bias.
    pub bias: bool,
    /// L, blocks that are added up: `out` begins smaller by its root.
    pub layers: usize,
}

impl Layer for Gated {
    fn name(&self) -> &str {
        "mixer"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let (width, d) = (g.width(x[0]), self.channels);
        let (mixed, apart) = (d + self.mixer.along(), self.mixer.apart());
        let inner = g.apply(&Linear::new("in", d + mixed + apart, self.bias), x[0])?;
        let z = g.narrow(inner, 0, d)?;
        let (x, apart) = parts(g, inner, d, mixed, apart)?;
        let conv = CausalConv {
            kernel: self.kernel,
            bias: self.conv_bias,
        };
        let x = g.apply(&conv, x)?;
        let x = g.apply(&Activation::Silu, x)?;
        let y = self.mixer.mix(g, x, apart)?;
        let y = self.mixer.gate(g, y, z)?;
        let out = Scaled {
            linear: Linear::new("out", width, self.bias),
            by: 1.0 / libm::sqrt(self.layers as f64),
        };
        Ok(vec![g.apply(&out, y)?])
    }
}

/// What goes through the mixer's convolution, from channel `start`, and what does not.
fn parts(
    g: &mut Graph,
    inner: Value,
    start: usize,
    mixed: usize,
    apart: usize,
) -> Result<(Value, Option<Value>)> {
    let x = g.narrow(inner, start, mixed)?;
    let beside = match apart {
        0 => None,
        len => Some(g.narrow(inner, start + mixed, len)?),
    };
    Ok((x, beside))
}
