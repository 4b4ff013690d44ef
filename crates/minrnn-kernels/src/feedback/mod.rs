//! GRU and LSTM behind the product of their input: the product of the state, gates and feedback in one pass through all steps, forward and
//! backward.
//!
//! [`slow`] is the definition, `cpu` the kernel, `cuda` with `feedback.cu` that for CUDA. Candle computes both by their primitives. Letters: P parts, 3 of a GRU and 4 of an LSTM.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod steps_by_time;
#[cfg(test)]
mod tests;

pub use minrnn_model::layers::Feedback;

/// Sizes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// D, channels of a state.
    pub channels: usize,
}

impl Size {
    /// Values of a state, `[B,D]`.
    pub fn state(self) -> usize {
        self.batch * self.channels
    }

    /// Values of a state after all steps, `[B,T,D]`.
    pub fn states(self) -> usize {
        self.time * self.state()
    }

    /// Values of a product of the input or of the state, `[B,T,P D]`.
    pub fn packed(self, kind: Feedback) -> usize {
        kind.parts() * self.states()
    }

    /// Values that the backward pass needs of each step: `[B,T,4 D]`, r, z, n and the product of the state that r multiplies; of an LSTM
    /// `[B,T,5 D]`, i, f, g, o and c.
    pub fn saved(self, kind: Feedback) -> usize {
        saved(kind) * self.states()
    }
}

/// Vectors of D channels that are saved of a step.
fn saved(kind: Feedback) -> usize {
    match kind {
        Feedback::Gru => 4,
        Feedback::Lstm => 5,
    }
}
