//! Plans on a GPU: parameters in flat buffers, one arena a plan, the step a captured CUDA graph.

mod engine;
mod launch;
mod machine;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineOptions, Inputs, Moments, StepReport, Wanted};
pub use machine::{GpuScratch, Machine, Store};
