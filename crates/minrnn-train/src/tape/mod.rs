//! A tape of our own: a graph planned into a list of launches over one arena, forward, backward and optimizer.
//!
//! candle's tape keeps every value, allocates every result and adds every gradient to zeros first; for a small recurrent
//! network that costs more than the work. Here the graph is planned once for its B and T:
//!
//! 1. [`units`] cuts the graph into fused layers and primitives, as far as [`op`] knows them;
//! 2. the forward pass writes [`Launch`]es, and remembers for each what the backward pass does ([`passes`], [`planner`]);
//! 3. the backward pass goes through that in reverse, each gradient written where it is needed, in place where it can be
//!    ([`grads`]);
//! 4. [`recompute`] says which values of a large step are made a second time for the backward pass instead of kept for it;
//! 5. [`arena`] gives buffers that are never alive together the same bytes.
//!
//! What an operation is, from its launches to its kernel, stands in one file of [`op`]. What the tape does not know it
//! refuses by name ([`Unknown`]).
//!
//! A plan knows no device. [`Twin`] runs it slowly, in float64, and says what each launch means; on the CPU ([`cpu`])
//! launches run one after the other, on all threads; on a GPU (`cuda`) it is a captured CUDA graph. Values that layers make have the compute type; sums that run
//! along the layers, statistics, states, parameters and their gradients are f32.

mod arena;
mod copy;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod grads;
mod host;
mod inputs;
mod launch;
mod layout;
#[cfg_attr(
    not(feature = "cuda"),
    allow(dead_code, reason = "some fields are for kernels of GPUs alone")
)]
mod op;
mod options;
mod part;
mod parted;
mod passes;
mod place;
mod plan;
mod planner;
mod recompute;
#[cfg(test)]
mod recompute_tests;
#[cfg(test)]
mod scale_tests;
mod state_rows;
#[cfg(test)]
mod tests;
mod twin;
mod units;

pub use host::Host;
pub use inputs::{Inputs, Wanted};
pub use launch::Launch;
pub use layout::{Layout, Run};
pub use op::Unknown;
pub use options::{Carry, NoScratch, Options, Recompute, Scratch, Target};
pub use part::Part;
pub use place::{Place, Space};
pub use plan::Plan;
pub use twin::Twin;
