//! What the evaluator refuses, and where.

use crate::ir::DType;

/// A model, a node or an input that is not evaluated, with the place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{place}: {kind}")]
#[non_exhaustive]
pub struct EvalError {
    /// Where: a node with its operator and opset, e.g. `node /rnn/Scan (Scan, opset 17)`, an input, the file.
    pub place: String,
    /// What is wrong.
    #[source]
    pub kind: EvalErrorKind,
}

/// Why something is not evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalErrorKind {
    /// An operator that the evaluator does not have, or not in this opset.
    #[error("the operator is not evaluated: {0}")]
    Operator(String),
    /// An attribute that is missing, of another kind, or has a value that the standard does not know.
    #[error("attribute `{name}`: {what}")]
    Attribute {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// An attribute that the operator does not have in this opset: reading on would ignore it.
    #[error("attribute `{0}` is not one of this operator in this opset")]
    UnknownAttribute(String),
    /// An input that is missing or of another kind.
    #[error("input {index}: {what}")]
    Input {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// An input that the operator does not have in this opset: reading on would ignore it.
    #[error("input {0} is not one of this operator in this opset")]
    UnknownInput(usize),
    /// An output that the operator does not have.
    #[error("output {0} is not one of this operator in this opset")]
    UnknownOutput(usize),
    /// Element types that do not fit, or are not evaluated.
    #[error("{0}")]
    Type(String),
    /// Elements of a type that is not evaluated.
    #[error("values of type {0} are not evaluated; it takes floats, integers and booleans")]
    Elements(DType),
    /// Shapes that do not fit.
    #[error("{0}")]
    Shape(String),
    /// A value that the standard has no result for.
    #[error("{0}")]
    Value(String),
    /// More operations than the limit allows: refused before the node starts.
    #[error(
        "needs some {wanted} operations, {left} are left of the limit; give a smaller input or a larger limit"
    )]
    Budget {
        /// How many it needs.
        wanted: u64,
        /// How many are left.
        left: u64,
    },
    /// A Loop that goes on when the limit is reached.
    #[error(
        "goes on after {rounds} rounds, when the {operations} operations that there are have been done; does its condition ever become false?"
    )]
    Rounds {
        /// How many it had.
        rounds: u64,
        /// Operations that were done, those before the loop among them.
        operations: u64,
    },
    /// More memory than the limit allows: refused before the values are made.
    #[error(
        "needs {wanted} bytes for its values, the limit is {limit}; give a smaller input or a larger limit"
    )]
    Memory {
        /// Bytes in all, with those already held.
        wanted: u64,
        /// The limit.
        limit: u64,
    },
    /// The file contradicts itself or the standard.
    #[error("{0}")]
    Model(String),
    /// Values in another file that cannot be read.
    #[error("values in another file: {0}")]
    External(String),
}

impl EvalErrorKind {
    pub(super) fn at(self, place: impl Into<String>) -> EvalError {
        EvalError {
            place: place.into(),
            kind: self,
        }
    }

    pub(super) fn attribute(name: &str, what: impl Into<String>) -> Self {
        Self::Attribute {
            name: name.to_owned(),
            what: what.into(),
        }
    }

    pub(super) fn input(index: usize, what: impl Into<String>) -> Self {
        Self::Input {
            index,
            what: what.into(),
        }
    }
}
