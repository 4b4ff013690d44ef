//! What is said of memory: how much of it a run needs, for what.

use std::fmt;

/// Bytes of main memory that a run needs at its largest, by what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Values of all parameters.
    pub values: u64,
    /// B, sequences a step.
    pub batch: usize,
    /// T of the longest of them, steps.
    pub time: usize,
    /// Parameters with their moments.
    pub weights: u64,
    /// Gradients of the parameters.
    pub gradients: u64,
    /// What the forward pass keeps for the backward pass, and what that passes on.
    pub activations: u64,
    /// Copies of parameters and moments while a checkpoint is written; the gradients are gone then.
    pub saving: u64,
    /// The data of the task.
    pub data: u64,
}

impl Memory {
    /// Bytes at the run's largest moment.
    pub fn peak(&self) -> u64 {
        let step = self.gradients.saturating_add(self.activations);
        let most = step.max(self.saving);
        self.data.saturating_add(self.weights).saturating_add(most)
    }

    /// Whether parameters take more of it than activations.
    pub fn is_weights(&self) -> bool {
        self.weights.saturating_add(self.saving) >= self.activations
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let training = self.weights.saturating_add(self.gradients);
        write!(
            f,
            "the training needs about {} of memory: {} for {} parameters with gradients and moments",
            bytes(self.peak()),
            bytes(training),
            self.values
        )?;
        if self.activations > 0 {
            write!(
                f,
                ", {} for what the backward pass reads of B = {} sequences of T = {} steps",
                bytes(self.activations),
                self.batch,
                self.time
            )?;
        }
        write!(
            f,
            ", {} at times for a checkpoint on its way to the disk",
            bytes(self.saving)
        )
    }
}

/// `812 B`, `12.3 kB`, `4.9 MB`, `1.1 GB`, `2.4 TB`.
pub(crate) fn bytes(n: u64) -> String {
    match n as f64 {
        b if b >= 1e12 => format!("{:.1} TB", b / 1e12),
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB", b / 1e3),
        _ => format!("{n} B"),
    }
}
