//! What an ONNX file means: every operator by the words of the standard, in float64.
//!
//! It judges engines, so it never guesses: an operator, an attribute, an input or an element type that it does not read is
//! refused by name ([`EvalError`]), limits are held before work begins ([`Limits`]), and no file makes it panic.
//!
//! Every float is computed in float64 from the values of the file and kept in two readings:
//! - *exact*: rounded only where the standard rounds (Cast, quantisation, values of type f16 and bf16);
//! - *step by step*: every operator's result rounded to its type, as an engine of that type does. How far it is from the
//!   exact one measures what rounding does to a model.
//!
//! What decides (shapes, indices, comparisons, ArgMax, TopK, Round, Floor, the count of Range, Cast to integers, quantisation)
//! reads the step-by-step reading. Where both readings decide differently, or some times the measured rounding would tip the
//! decision, what it could have been as well is carried along: positions of an output that hang on it are its [`Edge`]s.
//! Integers and booleans are exact.
//!
//! ```
//! use minrnn_onnx::builder::Builder;
//! use minrnn_onnx::eval::{Array, Limits, Session};
//! use minrnn_onnx::ir::{DType, Dim};
//!
//! let mut b = Builder::new("example");
//! let x = b.input("x", DType::F32, vec![Dim::symbol("n")]);
//! let y = b.exp(x);
//! b.output("y", y, DType::F32, vec![Dim::symbol("n")]);
//! let model = minrnn_onnx::ir::Model {
//!     ir_version: 8,
//!     opsets: vec![(String::new(), 17)],
//!     graph: b.finish()?,
//!     ..Default::default()
//! };
//! let session = Session::open(&model, None)?;
//! let inputs = [("x".to_owned(), Array::from_floats(DType::F32, &[1], &[1.0])?)].into();
//! let outputs = session.run(&inputs, &Limits::default())?;
//! assert_eq!(outputs.get("y").and_then(|y| y.exact().floats()), Some(&[1f64.exp()][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | what |
//! |---|---|
//! | `plan` | a model made ready: constants, functions in their places, sub-graphs |
//! | `session`, `control` | runs it: nodes in order; If, Loop, Scan, functions |
//! | `sides` | one node in all readings |
//! | `call` | what an operator sees; what it does not read is refused |
//! | `ops` | the operators, a file a family, a line an operator |

mod array;
mod budget;
mod call;
mod control;
mod error;
mod external;
mod moved;
mod number;
mod ops;
mod output;
mod plan;
mod rows;
mod session;
mod sides;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
mod value;

pub use array::Array;
pub use budget::Limits;
pub use error::{EvalError, EvalErrorKind};
pub use ops::operators;
pub use output::{Edge, Output};
pub use session::{Carried, Inputs, Outputs, Session};
#[cfg(test)]
pub(crate) use trial::{Env, Flat, run};

/// Opsets of the standard whose operators are evaluated, each as its opset has it.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;
