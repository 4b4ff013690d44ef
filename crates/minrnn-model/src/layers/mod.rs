//! Layers: each writes itself into a graph, in primitives only.

mod cell;
mod conv;
mod gated;
mod linear;
mod mlp;
mod norm;
mod selective;
mod selective_scan;

pub use cell::{Gates, MinGru, MinLstm, Recurrent};
pub use conv::CausalConv;
pub use gated::{Gated, Mixer, Straight, Whole};
pub use linear::{Embedding, Linear};
pub use mlp::{Activation, Mlp};
pub use norm::Norm;
pub use selective::{S6, Ssd, softplus};
pub use selective_scan::{Rates, SelectiveScan};

pub use crate::graph::{Candidate, Layer};
