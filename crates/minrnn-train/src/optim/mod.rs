//! The optimizer.

mod adamw;
mod config;
mod norm;
mod state;
mod update;

pub use adamw::{AdamW, Parameter, StepReport};
pub use config::AdamWConfig;
pub use state::OptimizerState;
