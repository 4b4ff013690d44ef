//! Layers: each writes itself into a graph, in primitives only.

mod cell;
mod conv;
mod linear;
mod mlp;
mod norm;

pub use cell::{Gates, MinGru, MinLstm, Recurrent};
pub use conv::CausalConv;
pub use linear::{Embedding, Linear};
pub use mlp::{Activation, Mlp};
pub use norm::Norm;

pub use crate::graph::{Candidate, Layer};
