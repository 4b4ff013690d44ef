//! Sums over rows: gradients of biases; on CUDA also the second step of every sum that blocks begin.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod tests;
