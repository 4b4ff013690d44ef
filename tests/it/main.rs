//! Cross-crate tests.
mod golden;
mod invariants;
#[cfg(feature = "candle-onnx")]
mod engines_candle;
mod graphs;
mod mutations;
mod models;
