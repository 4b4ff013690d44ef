//! Layers: each writes itself into a graph, in primitives only.

mod aaren;
mod attention;
mod cell;
mod conv;
mod diagonal;
mod feedback;
mod gated;
mod hyena;
mod linear;
mod mlp;
mod norm;
mod selective;
mod selective_scan;
mod signed;

pub use aaren::Aaren;
pub use attention::{Attention, Positions};
pub use cell::{Gates, MinGru, MinLstm, Recurrent};
pub use conv::CausalConv;
pub use diagonal::{Diagonal, H3, S4d, Space};
pub use feedback::{Feedback, Rnn};
pub use gated::{Gated, Mixer, Straight, Whole};
pub use hyena::Hyena;
pub use linear::{Embedding, Linear};
pub use mlp::{Activation, Mlp};
pub use norm::Norm;
pub use selective::{S6, Ssd, softplus};
pub use selective_scan::{Rates, SelectiveScan};
pub use signed::SignedMinGru;

pub use crate::graph::{Candidate, Layer};
