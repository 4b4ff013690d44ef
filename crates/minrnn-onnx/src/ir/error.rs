//! What can be wrong with a file.

/// A file that cannot be read, with the place.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {kind}")]
#[non_exhaustive]
pub struct DecodeError {
    /// Path inside the file, e.g. `graph.node[3] (/scan/Mul).attribute axis`.
    pub place: String,
    /// What is wrong.
    #[source]
    pub kind: DecodeErrorKind,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are no protobuf message of the schema.
    #[error("not an ONNX file: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A required part is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number that the format does not define.
    #[error("{what} {code} is not defined by the format")]
    Code {
        /// Which number, e.g. `element type`.
        what: &'static str,
        /// Its value.
        code: i64,
    },
    /// A negative dimension, or more elements than can be counted.
    #[error("shape {0:?} is not possible")]
    Shape(Vec<i64>),
    /// Data whose length does not fit the shape.
    #[error("has {got} {unit}, its shape {dims:?} of {dtype} wants {want}")]
    Size {
        /// Shape.
        dims: Vec<i64>,
        /// Element type.
        dtype: super::DType,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        want: usize,
    },
    /// Values in the wrong field, in more than one, or out of range.
    #[error("{0}")]
    Value(String),
    /// A field that the schema does not declare: reading on would lose it.
    #[error(
        "field {number} of {message} is not declared by the schema that this program reads; \
         a newer version of it may, or write the model without it"
    )]
    Field {
        /// The message, e.g. `NodeProto`.
        message: &'static str,
        /// The field's number.
        number: u32,
    },
    /// Part of the format, but not held by these types.
    #[error("{0} are not supported; convert the model to plain tensors and operators first")]
    Unsupported(&'static str),
}

impl DecodeErrorKind {
    pub(super) fn at(self, place: impl Into<String>) -> DecodeError {
        DecodeError {
            place: place.into(),
            kind: self,
        }
    }
}
