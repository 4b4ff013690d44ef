//! Normalisation on CUDA: by the root mean square or by mean and deviation, with the residual sum before it and dropout on
//! the branch. What the results are is said by [`rms_norm::slow`](crate::rms_norm::slow) and
//! [`layer_norm::slow`](crate::layer_norm::slow).

pub(crate) mod bridge;
pub mod cuda;
mod dropout;
#[cfg(test)]
pub(crate) mod tests;
