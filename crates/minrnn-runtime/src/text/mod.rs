//! Text: what stands around a text model. A prompt becomes tokens, logits become the next token, tokens become text.
//!
//! ```
//! use minrnn_runtime::text::{Sampling, Writer, Writing};
//!
//! # fn main() -> minrnn_runtime::Result<()> {
//! # let export = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/shakespeare-min-lstm/export");
//! let mut writer = Writer::open(export)?;
//! let how = Writing {
//!     sampling: Sampling { temperature: 0.8, top_p: Some(0.9), ..Sampling::default() },
//!     most: 100,
//!     stop: vec!["JULIET:".into()],
//!     ..Writing::default()
//! };
//! for piece in writer.write("ROMEO:", &how)? {
//!     print!("{}", piece?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The parts stand alone too: [`Vocabulary`], [`Sampler`], and [`Continuation`], which turns logits of any engine into text.

mod next;
mod pieces;
mod random;
mod sample;
mod stops;
mod vocabulary;
mod writer;

#[cfg(test)]
mod tests;

pub use next::{Continuation, Over, Taken};
pub use pieces::Pieces;
pub use sample::{Sampler, Sampling};
pub use vocabulary::{Codec, Vocabulary};
pub use writer::{Text, Writer, Writing};
