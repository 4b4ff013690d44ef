//! Cross-crate tests.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod golden;
mod invariants;
#[cfg(feature = "candle-onnx")]
mod engines_candle;
mod graphs;
mod mutations;
mod models;
