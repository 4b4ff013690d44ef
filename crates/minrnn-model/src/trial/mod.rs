//! Trials: what a model is run on, and what comes out. Whoever holds one run of a model to another (the proof, the tests of
//! engines, of the runtime and of the oracle) draws its inputs here, cuts them here, carries states from piece to piece here and
//! joins the outputs here. How results are compared is [`crate::compare`].

mod carry;
mod case;
mod reach;
mod result;
#[cfg(test)]
mod tests;

pub use carry::{Span, carried, spans, steps};
pub use case::{Case, Draw, How, cut, pieces};
pub use reach::{Source, takes_any_state};
pub use result::{Outcome, Truth, join};
