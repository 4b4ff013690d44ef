//! The optimizer: a rule over the parameters of a model.

mod adamw;
mod config;
mod muon;
mod norm;
mod optimizer;
mod rule;
mod state;

pub use adamw::AdamWConfig;
pub use config::OptimizerConfig;
pub use muon::MuonConfig;
pub(crate) use norm::squares;
pub use optimizer::{Optimizer, Parameter, StepReport};
pub use rule::{Kind, Leaf, Room, Rule, Slot, Step, Work};
pub(crate) use state::Named;
pub use state::OptimizerState;

/// Slots of all rules, by which checkpoints are read.
pub(crate) const SLOTS: [&[Slot]; 2] = [adamw::SLOTS, muon::SLOTS];
