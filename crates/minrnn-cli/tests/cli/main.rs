//! The program from the outside: what it says, how it ends, and that its parts fit together.

mod checkpoint;
mod config;
mod flags;
mod harness;
mod help;
mod interrupt;
mod onnx;
mod whole;
