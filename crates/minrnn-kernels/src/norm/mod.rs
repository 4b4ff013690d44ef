//! Normalisation by the root mean square or by mean and deviation, with the residual sum before it and dropout on the branch. What the results are is said by [`rms_norm::slow`](crate::rms_norm::slow) and
//! [`layer_norm::slow`](crate::layer_norm::slow).

#[cfg(feature = "cuda")]
pub(crate) mod bridge;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod by_time;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
mod dropout;
#[cfg(feature = "cuda")]
#[cfg(test)]
pub(crate) mod tests;

/// Which normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`rms_norm`](crate::rms_norm()); has no bias.
    Rms,
    /// [`layer_norm`](crate::layer_norm()).
    Layer,
}

#[cfg(feature = "cuda")]
impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Rms => "rms",
            Self::Layer => "layer",
        }
    }
    /// Parameters with gradients of their own.
    fn parameters(self) -> usize {
        match self {
            Self::Rms => 1,
            Self::Layer => 2,
        }
    }
}
