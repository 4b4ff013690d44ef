//! Export of minrnn models to ONNX: builder, lowerings of the recurrence, checker, canonical text
//!
//! | module | what |
//! |---|---|
//! | [`ir`] | the ONNX graph as plain Rust types; bytes in and out |
//! | [`build`] | makes such graphs: names, shared constants, sub-graphs |
//! | [`check`] | rules of ONNX, with inference of types and shapes |
//! | [`export`] | a model to files: forms, metadata, manifest, golden trace |
//! | [`text`] | one canonical text for a graph, to read and to diff |
//!
//! The protobuf structs are private: only `ir::encode` and `ir::decode` see them.

pub mod build;
pub mod check;
#[cfg(test)]
mod eval;
pub mod export;
pub mod ir;
mod lower;
#[rustfmt::skip]
mod pb;
#[cfg(test)]
mod pb_fresh;
pub mod text;
