//! Exported graphs, evaluated by the definitions of their operators, against the oracle.

mod forms;
mod folder;
mod models;
