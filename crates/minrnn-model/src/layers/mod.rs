//! Layers: each writes itself into a graph, in primitives only.

mod cell;
mod conv;
mod linear;
mod mlp;
mod norm;

pub use cell::{Candidate, Gates, MinGru, MinLstm, Recurrent};
pub use conv::CausalConv;
pub use linear::{Embedding, Linear};
pub use mlp::{Activation, Mlp};
pub use norm::Norm;

use crate::error::Result;
use crate::graph::{Fused, Graph, Value};

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
