//! A tape of our own: a graph planned into a list of launches over one arena, forward, backward and optimizer.
//!
//! candle's tape keeps every value, allocates every result and adds every gradient to zeros first; for a small recurrent
//! network that costs more than the work. Here the graph is planned once for its B and T:
//!
//! 1. [`units`] cuts the graph into fused layers and primitives;
//! 2. the forward pass writes [`Launch`]es and what the backward pass needs ([`taped`]);
//! 3. the backward pass goes through that in reverse, each gradient written where it is needed, in place where it can be;
//! 4. [`arena`] gives buffers that are never alive together the same bytes.
//!
//! A plan knows no device. [`Host`] runs it slowly, in float64, and says what each launch means; on a GPU
//! (`cuda`) it is a captured CUDA graph. Values that layers make have the compute type; sums that run
//! along the layers, statistics, states, parameters and their gradients are f32.

mod arena;
mod backward;
#[cfg(feature = "cuda")]
pub mod cuda;
mod forward;
mod host;
mod known;
mod launch;
mod layout;
mod plan;
mod taped;
#[cfg(test)]
mod tests;
mod units;

pub use host::{Host, NoScratch, Update};
pub use launch::{ActivationKind, Cell, Columns, Launch, Map1, Mask, NormKind, Place, Size, Space};
pub use layout::Layout;
pub use plan::{Need, Options, Plan, Scratch, Target};
