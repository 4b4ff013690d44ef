//! The optimizer: a rule over the parameters of a model.

mod adamw;
mod norm;
mod optimizer;
mod rule;
mod state;

pub use adamw::AdamWConfig;
pub(crate) use norm::squares;
pub use optimizer::{Optimizer, Parameter, StepReport};
pub use rule::{Leaf, Rule, Slot, Step};
pub use state::OptimizerState;

/// Slots of all rules, by which checkpoints are read.
pub(crate) const SLOTS: [&[Slot]; 1] = [adamw::SLOTS];
