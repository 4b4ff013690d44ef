//! Runs exported minrnn models with tract: whole sequences and streaming sessions.
//!
//! The `.onnx` file and its metadata are all this crate knows; they are held against each other before anything runs
//! (`crates/README.md`, "The contract of an exported file"). Letters: B batch, T time, D channels, F features, C outputs.
//!
//! ```no_run
//! use std::sync::Arc;
//! use minrnn_runtime::{Input, Model, Session};
//!
//! # fn main() -> minrnn_runtime::Result<()> {
//! // Whole sequences: [B, T] in, [B, T, C] out, the state handed from call to call.
//! let parallel = Model::open("export/model.parallel.onnx")?;
//! let ids = [3, 1, 4, 1, 5, 9];
//! let start = parallel.initial_state(2)?;
//! let (logits, state) = parallel.run(Input::Tokens { ids: &ids, batch: 2, time: 3 }, &start)?;
//! assert_eq!(logits.shape[..2], [2, 3]);
//!
//! // Streaming: the step file of the same model goes on where the parallel file ended.
//! let step = Arc::new(Model::open("export/model.step.onnx")?);
//! let mut session = Session::new(step, 2)?;
//! session.set_state(state)?;
//! let next = session.step_tokens(&[2, 6])?;
//! assert_eq!(next.shape.len(), 2);
//! std::fs::write("paused.state", session.state().to_bytes()).ok();
//! # Ok(())
//! # }
//! ```
//!
//! Files of other programs run too, by named tensors and without any notion of state: [`AnyModel`].
//!
//! # What is refused
//! Everything that would be silently wrong. A file that contradicts its metadata ([`Error::Contract`]); T = 0, T beyond
//! the length a graph was made for, ids outside the vocabulary, values that are not finite, a state of other weights or
//! of another batch ([`Error::Input`]). Each says what, where, and what would mend it; [`Error::kind`] tells them apart.
//!
//! # Panics of the engine
//! Parsing, planning and running happen behind `catch_unwind`, so a panic of tract becomes [`Error::Load`] or
//! [`Error::Run`]. A program built with `panic = "abort"` ends instead; and the program's panic hook, which prints to
//! stderr by default, still sees the panic. An allocation that fails ends any program: give a process that opens files
//! of strangers a memory limit.
//!
//! # Numbers
//! Each call runs from its inputs alone, so the same call gives the same bits, on one machine. With two and more rows
//! (B >= 2 in `step`, B * T >= 2 in sequence forms) and outputs of width 2 and more, `step` and `scan` are bit-equal, in
//! any chunking. For a single row tract picks its matrix kernel by width and CPU, some of which sum in another order: a
//! row alone and the same row in a batch may then differ in the last bits. `parallel` associates the recurrence
//! otherwise and agrees within rounding. tract's `Sigmoid` saturates near 5e-7: gates of its plain form never close.
//!
//! # Plans
//! tract runs a graph 3 to 5 times faster when batch and length are fixed, so a [`Model`] keeps a plan for each pair in
//! use, at most [`Options::plans`] of them. Each holds a packed copy of the weights. [`Model::prepare`] makes one ahead.

mod any;
mod contract;
mod engine;
mod error;
mod exact;
mod external;
mod info;
mod input;
mod kernels;
mod metadata;
mod model;
mod plan;
mod session;
mod state;
mod state_bytes;
mod structure;

pub use any::{AnyModel, Array, Dim, Elem, Port, Values};
pub use error::{Error, ErrorKind, Result};
pub use info::{Form, Head, Info, Init, InputSpec, Lowering, OutputSpec, Recurrence, StateSpec};
pub use input::{Extras, Input, Output};
pub use model::{Execution, Model, Options};
pub use session::Session;
pub use state::State;
