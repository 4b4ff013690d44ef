//! Plans on a GPU: parameters in flat buffers, one arena a plan, the step a captured CUDA graph.

mod engine;
mod inputs;
mod machine;

#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod tests;

pub(super) use minrnn_kernels::cuda::Result;

pub use engine::{Engine, EngineOptions, Slots, StepReport};
pub use inputs::{Inputs, Wanted};
pub use machine::{GpuScratch, Machine, Store};
