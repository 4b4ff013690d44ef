//! Primitives without a layer of their own, on CUDA.

pub mod cuda;
