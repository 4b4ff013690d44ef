//! Training of minrnn models with candle: tasks and data, optimizer, schedule, checkpoints.
//!
//! * [`task`]: what a model is trained on. Plain vectors, no tensors; every sample is a pure function of
//!   (seed, split, index), so that a resumed run and any number of threads see the same bytes.
//! * [`data`]: readers of files (npy, npz, CSV, text), the seeded random numbers, vocabulary and normalisation.
//! * [`optim`]: AdamW and Muon with their own float32 memory, global-norm clipping, exact state.
//! * [`schedule`]: the learning rate as a function of the step.
//! * [`tape`]: the same graph planned into launches over one arena, for GPUs.
//! * [`run`]: the model's graph run by candle, with gradients; [`trainer`]: the loop; [`generate`]: text from a model.
//! * [`import`]: weights of other implementations as checkpoints.
//! * [`checkpoint`]: a folder that is replaced as a whole, and refused by name when it is damaged.

pub mod checkpoint;
pub mod data;
mod error;
pub mod generate;
mod host;
pub mod import;
mod memory;
pub mod optim;
pub mod run;
pub mod schedule;
pub mod tape;
pub mod task;
pub mod trainer;

pub use error::{CheckpointProblem, Difference, Result, TrainError};
