//! `y[t] = sum_j taps[j] * x[t - j]`, channel by channel, as many taps as the sequence has steps: before the begin rows of a window, or zeros.
//!
//! [`slow`] is the definition, [`cpu`] the kernel, by Fourier transforms (`transform.rs`); for CUDA `cuda.rs` with `convolution.cu`, which has the sums.
//! Few taps, which are parameters, are [`causal_conv`](crate::causal_conv). Candle computes it by products of matrices.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(test)]
mod tests;
mod transform;

/// Sizes of a convolution, all at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Sequences.
    pub batch: usize,
    /// Steps.
    pub time: usize,
    /// D.
    pub channels: usize,
    /// Taps; a window before the begin has a row less.
    pub taps: usize,
}

impl Size {
    /// Elements of x.
    pub fn values(self) -> usize {
        self.batch * self.time * self.channels
    }
    /// Elements of the taps.
    pub fn filter(self) -> usize {
        self.taps * self.channels
    }
    /// Elements of a window before the begin.
    pub fn window(self) -> usize {
        self.batch * (self.taps - 1) * self.channels
    }
}
