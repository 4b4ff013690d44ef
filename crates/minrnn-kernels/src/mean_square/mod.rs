//! The mean of squared differences, loss and gradient in one pass.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod tests;
