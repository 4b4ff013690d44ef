//! Exported graphs, evaluated by the definitions of their operators, against the oracle.

mod contract;
mod folder;
mod forms;
mod models;
mod profiles;
mod variants;
