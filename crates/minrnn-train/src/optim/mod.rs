//! The optimizer.

mod adamw;
mod norm;
mod state;
mod update;

pub use adamw::{AdamW, AdamWConfig, Parameter, StepReport};
pub use state::OptimizerState;
