//! Plans on a GPU: parameters in flat buffers, one arena a plan, the step a captured CUDA graph.

mod engine;
mod machine;

#[cfg(test)]
mod tests;

pub(super) use minrnn_kernels::cuda::Result;

pub use engine::{Engine, EngineOptions, Inputs, Slots, StepReport, Wanted};
pub use machine::{GpuScratch, Machine, Store};
