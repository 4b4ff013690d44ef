//! The mean of squared differences on CUDA, loss and gradient in one pass.

pub mod cuda;
#[cfg(test)]
mod tests;
