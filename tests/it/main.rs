//! Cross-crate tests.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[cfg(feature = "candle-onnx")]
mod engines_candle;

mod attention;
mod circles;
mod convolutions;
mod counts;
mod decision_transformer;
mod exact;
mod examples;
mod feedback;
mod forged;
mod formulas;
mod golden;
mod graphs;
mod import;
mod invariants;
mod laws;
mod manifest;
#[cfg(feature = "candle-onnx")]
mod matrix;
mod models;
mod mutations;
mod narrow;
mod opsets;
mod own_models;
mod padding;
mod parity;
mod random_graphs;
mod regressions;
mod runs;
mod service;
mod snapshots_of_graphs;
mod state_spaces;
mod stories;
mod text;
