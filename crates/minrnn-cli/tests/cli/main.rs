//! The program from the outside: what it says, how it ends, and that its parts fit together.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod bench;
mod board;
mod bounded;
mod checkpoint;
mod config;
mod csv_formats;
mod diff;
mod engines;
mod eval;
mod export;
mod flags;
mod forged;
mod gap;
mod generate;
mod harness;
mod help;
mod import;
mod init;
mod interrupt;
mod lengths;
mod long;
mod onnx;
mod outputs;
mod pair;
mod report;
mod repro;
mod resume;
mod sequences;
mod shared;
mod state_spaces;
mod stdout;
mod sweep;
mod training;
mod vocabulary;
mod whole;
