//! Causal attention of heads over a window of the last rows, with a dropout on the weights: no scores of all steps are in memory at once.
//!
//! [`slow`] is the definition, `cpu` the kernel, `cuda.rs` with `attend.cu` that for CUDA; `mask.rs` says which weights the dropout makes
//! zero, for all of them. Candle computes it by its primitives. Letters: H heads of P = D / H channels.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
mod mask;
pub mod slow;
#[cfg(test)]
mod tests;

pub use mask::{Mask, mask};

/// The widest head that a GPU's kernel takes.
pub const WIDEST_HEAD_ON_GPU: usize = 128;

/// Rows and columns of a tile of weights that the numbers of a dropout are laid out by.
const TILE: usize = 16;

/// Sizes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// D.
    pub channels: usize,
    /// H.
    pub heads: usize,
    /// Rows before the present one that a step sees at most.
    pub lag: usize,
}

impl Size {
    /// P.
    pub fn head(self) -> usize {
        self.channels / self.heads
    }

    /// Values of q and of y, `[B,T,D]`.
    pub fn values(self) -> usize {
        self.batch * self.time * self.channels
    }

    /// Values of the state, `[B,lag,2D]`.
    pub fn window(self) -> usize {
        2 * self.batch * self.lag * self.channels
    }

    /// Logarithms of the sums of exponentials, `[B,H,T]`.
    pub fn sums(self) -> usize {
        self.batch * self.heads * self.time
    }

    /// Rows before the run's own, as a dropout counts them: those of the window, to a multiple of a tile.
    pub fn front(self) -> usize {
        self.lag.next_multiple_of(TILE)
    }

    /// Rows before step `t` that it sees, where it is the `n`th since the begin; `past` rows before the run are there.
    fn reach(self, n: f64, t: usize, past: usize) -> usize {
        let before = (n - 1.0).max(0.0) as usize;
        before.min(self.lag).min(past + t)
    }
}
