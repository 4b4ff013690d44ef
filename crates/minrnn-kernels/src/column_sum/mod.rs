//! Sums over rows, on CUDA: gradients of biases, and the second step of every sum that blocks begin.

pub mod cuda;
#[cfg(test)]
mod tests;
