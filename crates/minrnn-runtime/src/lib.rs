//! Runs exported minrnn models: whole sequences and streaming sessions, in an executor of its own and in tract.
//!
//! The `.onnx` file and its metadata are all this crate knows; they are held against each other before anything runs
//! (`crates/README.md`, "The contract of an exported file"). Letters: B batch, T time, D channels, F features, C outputs.
//!
//! ```
//! use std::sync::Arc;
//! use minrnn_runtime::{Input, Model, Session};
//!
//! # fn main() -> minrnn_runtime::Result<()> {
//! # let export = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/copy-min-gru/export");
//! // Whole sequences: [B, T] in, [B, T, C] out, the state handed from call to call.
//! let parallel = Model::open(format!("{export}/model.parallel.onnx"))?;
//! let ids = [3, 1, 4, 1, 5, 9];
//! let start = parallel.initial_state(2)?;
//! let (logits, state) = parallel.run(Input::Tokens { ids: &ids, batch: 2, time: 3 }, &start)?;
//! assert_eq!(logits.shape[..2], [2, 3]);
//!
//! // Streaming: the step file of the same model goes on where the parallel file ended.
//! let step = Arc::new(Model::open(format!("{export}/model.step.onnx"))?);
//! let mut session = Session::new(step.clone(), 2)?;
//! session.set_state(state)?;
//! let next = session.step_tokens(&[2, 6])?;
//! assert_eq!(next.shape.len(), 2);
//!
//! // A state that is put away goes on later, with the same bits.
//! let saved = session.state().to_bytes();
//! let next = session.step_tokens(&[7, 1])?;
//! session.set_state(step.state_from_bytes(&saved)?)?;
//! assert_eq!(session.step_tokens(&[7, 1])?, next);
//! # Ok(())
//! # }
//! ```
//!
//! Files of other programs run too, by named tensors and without any notion of state: [`AnyModel`].
//!
//! Text goes in and out by [`text`].
//!
//! # What is refused
//! Everything that would be silently wrong. A file that contradicts its metadata ([`Error::Contract`]); T = 0, T beyond
//! the length a graph was made for, ids outside the vocabulary, values that are not finite, features that are infinite in the
//! float16 that a file makes them ([`FeatureRange`]), a state of other weights, of another batch, or that counts steps as no run
//! leaves it ([`Error::Input`]). Each says what, where, and what would mend it; [`Error::kind`] tells them apart.
//!
//! # Panics
//! Reading, planning and running happen behind `catch_unwind`, so a panic of tract or of this crate becomes [`Error::Load`] or
//! [`Error::Run`]. A program built with `panic = "abort"` ends instead; and the program's panic hook, which prints to
//! stderr by default, still sees the panic; it may ask [`panics::are_caught`]. An allocation that fails ends any program: give a process that opens files
//! of strangers a memory limit.
//!
//! # Numbers
//! Three ways to run a file, chosen by [`Options::execution`]:
//! * **Exact**, the default: an executor of this crate. Every operation is defined on one row by one order of f32 operations
//!   (products: k ascending, fused multiply-add; the recurrence: times a, rounded, plus b, rounded), whatever the number of
//!   rows, the threads, the cut of the sequence or the instruction set. So `parallel`, `scan` and `step` are equal bit for bit.
//!   A lowered recurrence is replaced by the recurrence itself, by the names in the metadata.
//! * **Portable**: the untouched graph in tract, as another engine would run it. It agrees with the exact values within
//!   rounding, and only it would show a broken lowering: `minrnn verify` always has rows of both.
//! * **Referee**, for proofs: tract goes through the graph node by node; the recurrence, products, sums and exponentials are
//!   plain loops in the order named above. Exact execution must equal it bit for bit. Operators that it has no definition of
//!   are refused.
//!
//! Exact execution knows the operators and shapes that minrnn's exporter writes. A graph beyond that runs portably, and
//! [`Model::not_exact_because`] names the first tensor that was unknown; now so are the doubling lowerings (`kogge-stone`).
//!
//! # Plans
//! Exact execution has one program for all batches and lengths, weights packed once. Portable execution keeps a plan for each
//! pair of batch and length in use, at most [`Options::plans`] of them, each with a packed copy of the weights.

#[cfg(feature = "tract")]
mod any;
mod cells;
mod contract;
mod engine;
mod error;
mod exact;
mod external;
mod info;
mod input;
mod json;
mod kernels;
mod limits;
mod metadata;
mod model;
mod names;
mod narrow;
mod operator;
mod options;
pub mod panics;
#[cfg(feature = "tract")]
mod plan;
mod proto;
mod range;
#[cfg(feature = "tract")]
mod referee;
mod self_check;
mod session;
mod state;
mod state_bytes;
mod structure;
mod tensors;
pub mod text;
mod weights;

#[cfg(feature = "tract")]
pub use any::{AnyModel, Array, Dim, Elem, Port, Values};
pub use error::{Error, ErrorKind, Result};
pub use info::{
    Dtype, Form, Head, Info, Init, InputSpec, Law, Lowering, OutputSpec, Recurrence, StateSpec,
};
pub use input::{Extras, Input, Output};
pub use kernels::Kernels;
pub use model::Model;
pub use options::{Execution, Options};
pub use range::FeatureRange;
pub use self_check::SelfCheck;
pub use session::Session;
pub use state::State;
pub use weights::Weights;
