//! Reading of data files, and the random numbers and statistics that tasks need. No tensors here.

mod array;
mod npy;
mod npz;
mod rng;
mod sequences;
mod sequences_csv;
mod sequences_npy;
mod statistics;
mod vocabulary;

pub use array::{Array, Values};
pub use npy::read_npy;
pub use npz::read_npz;
pub use rng::SampleRng;
pub use sequences::{Labels, SequenceSet};
pub use sequences_csv::{CsvColumns, read_csv};
pub use sequences_npy::{ArrayFiles, read_arrays};
pub use statistics::Normalisation;
pub use vocabulary::Vocabulary;

/// What the labels of a sequence file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Class numbers 0, 1, 2, ...
    Classes,
    /// Real numbers.
    Values,
}

/// What a label belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelScope {
    /// One label for each step.
    Step,
    /// One label for each sequence.
    Sequence,
}
