//! The evaluator against the reference implementation of the ONNX project (`reference.json`, by `reference.py`), and against
//! what the standard says in words.

mod carried;
mod edges;
mod laws;
mod never_panics;
mod nodes;
mod reference;
mod refusals;
