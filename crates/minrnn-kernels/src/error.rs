//! What an operation of this crate refuses.

use candle_core::DType;

/// Why an operation refused its inputs. Reaches the caller inside a
/// [`candle_core::Error`]; every message says which operation, which input,
/// what was found and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// An input has another shape than the operation needs.
    #[error("{op}: `{input}` has shape {got:?}, but must be {expected}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// The shape found.
        got: Vec<usize>,
        /// The shape needed, in words and letters.
        expected: String,
    },
    /// A size is 0 where at least 1 is needed (a sequence of no steps has no last state).
    #[error("{op}: `{input}` has shape {got:?}; every size must be at least 1")]
    Empty {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// The shape found.
        got: Vec<usize>,
    },
    /// An input has an element type that the operation does not compute in.
    #[error("{op}: `{input}` is {got:?}, but must be {expected}; convert it with `to_dtype`")]
    DType {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// The type found.
        got: DType,
        /// The types accepted.
        expected: &'static str,
    },
    /// The operation has no kernel for the device of its inputs.
    #[error(
        "{op}: `{input}` is on device {device}, for which there is no kernel; move it to the CPU with `to_device`"
    )]
    Device {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// The device, in words.
        device: String,
    },
    /// An index (a token, a target class) is not below the number of rows or classes.
    #[error("{op}: `{input}`[{position}] is {index}, but must be below {limit}")]
    Index {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// Where the index stands.
        position: usize,
        /// The index.
        index: usize,
        /// The first index that is too large.
        limit: usize,
    },
    /// A value for which the operation is not defined.
    #[error("{op}: `{input}` {problem}")]
    Value {
        /// The operation.
        op: &'static str,
        /// The input.
        input: &'static str,
        /// What is wrong with it and what would mend it.
        problem: String,
    },
}

impl From<KernelError> for candle_core::Error {
    fn from(error: KernelError) -> Self {
        candle_core::Error::wrap(error)
    }
}
