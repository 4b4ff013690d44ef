//! Export of minrnn models to ONNX: builder, lowerings of the recurrence, checker, canonical text
//!
//! | module | what |
//! |---|---|
//! | [`ir`] | the ONNX graph as plain Rust types; bytes in and out |
//! | [`builder`] | makes such graphs: names, shared constants, sub-graphs |
//! | [`check`] | rules of ONNX, with inference of types and shapes |
//! | [`eval`] | what a file means: every operator by the standard's words, in float64 |
//! | [`export`] | a model to files: forms, metadata, manifest, golden trace |
//! | [`text`] | a graph as text: as it is, and canonical, whatever its names and order |
//! | [`diff`] | where two graphs differ; whether only in weights |
//!
//! [`assert_graph_snapshot!`] keeps a graph as a snapshot in tests, with insta; the feature `insta` brings insta along.
//!
//! The protobuf structs are private: only `ir::encode` and `ir::decode` see them.

pub mod builder;
pub mod check;
mod choices;
pub mod diff;
pub mod eval;
pub mod export;
pub mod ir;
mod lower;
#[rustfmt::skip]
mod pb;
#[cfg(test)]
mod pb_fresh;
pub mod text;

#[cfg(feature = "insta")]
#[doc(hidden)]
pub use insta as __insta;
