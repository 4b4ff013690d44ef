//! CUDA: the device, its memory, launches, matrix products, captured graphs.
//!
//! What a kernel of this crate needs to run, and nothing that knows a model. Memory is taken once ([`Memory`]) and cut
//! into [`View`]s; a launch ([`Call`]) goes to the one stream of its [`Gpu`] and never synchronises, so that any sequence
//! of launches can be captured into a CUDA graph ([`Gpu::capture`]) and replayed. Wrappers of kernels lie beside the CPU
//! kernels of their operation (`{operation}/cuda.rs`); they check element types and lengths of every view.
//!
mod apart;
mod capture;
mod error;
mod gpu;
mod launch;
mod matmul;
pub(crate) mod shape;
#[cfg(test)]
pub(crate) mod testing;
mod timer;
mod view;

pub use apart::apart;
pub use capture::Captured;
pub use error::CudaError;
pub use gpu::Gpu;
pub(crate) use launch::{Call, Module};
pub use matmul::{Matmul, Operand, Precision};
pub use timer::Timer;
pub use view::{Memory, Plain, View};

pub use crate::Elem;
pub(crate) use view::need;

/// Result of what runs on a GPU.
pub type Result<T, E = CudaError> = std::result::Result<T, E>;
