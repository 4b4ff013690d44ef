//! Exported graphs, evaluated by the definitions of their operators, against the oracle.

mod contract;
mod deviation;
mod folder;
mod forms;
mod heads;
mod models;
mod names;
mod profiles;
mod variants;
mod whole;
mod windows;
