//! Plans on the CPU in f32: parameters and slots, and behind each other gradients and one arena; launch after launch, each on all
//! threads.
//!
//! Work is split by rows, channels and blocks of sums whose borders depend on sizes alone: any number of threads gives the
//! same bits. In the steady state nothing is allocated but the lists of tasks.

mod engine;
mod machine;
mod memory;
mod parts;
mod sums;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineOptions, Slots, StepReport};
pub use machine::{Machine, Report, Trouble};
pub use memory::Memory;
