//! The optimizer: a rule over the parameters of a model.

mod adamw;
mod norm;
mod optimizer;
mod rule;
mod state;

pub use adamw::AdamWConfig;
pub use optimizer::{Optimizer, Parameter, StepReport};
pub(crate) use rule::SLOTS;
pub use rule::{Leaf, Rule, Slot, Step};
pub use state::OptimizerState;
