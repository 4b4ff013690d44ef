//! The program from the outside: what it says, how it ends, and that its parts fit together.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod bench;
mod checkpoint;
mod config;
mod diff;
mod export;
mod flags;
mod harness;
mod help;
mod import;
mod interrupt;
mod onnx;
mod pair;
mod whole;
