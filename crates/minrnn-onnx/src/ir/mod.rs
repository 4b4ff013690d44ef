//! The ONNX graph as plain Rust types, apart from protobuf.
//!
//! Everything in this crate works on these types; only `encode` and `decode` know the file format. A decoded file
//! is complete or refused: nothing is dropped without a word, and a field that the schema in `proto/` does not declare
//! is a refusal by name. What comes back from `encode` means the same message; only how it is written may differ
//! (values of tensors become raw bytes, what says nothing is left out).

mod attr;
mod decode;
mod decode_graph;
mod decode_parts;
mod decode_tensor;
mod decode_type;
mod dtype;
mod encode;
mod encode_parts;
mod error;
mod function;
#[cfg(test)]
mod roundtrip;
mod tensor;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub use attr::{Attr, AttrKind, SparseTensor};
pub use dtype::DType;
pub use error::{DecodeError, DecodeErrorKind};
pub use function::Function;
pub use tensor::{External, Tensor, TensorData};
pub use types::{TensorShape, Type, TypeKind, ValueInfo};

/// A whole ONNX file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// Version of the file format; 8 goes with opset 17.
    pub ir_version: i64,
    /// `(domain, version)`; the empty domain is the standard operator set.
    pub opsets: Vec<(String, i64)>,
    /// Name of the program that wrote the file.
    pub producer: String,
    /// Version of that program.
    pub producer_version: String,
    /// Reverse-DNS domain of the model.
    pub domain: String,
    /// Version of the model.
    pub model_version: i64,
    /// Human-readable text.
    pub doc: String,
    /// Key and value, in the order of the file.
    pub metadata: Vec<(String, String)>,
    /// The graph.
    pub graph: Graph,
    /// Operators that the file brings along.
    pub functions: Vec<Function>,
    /// Steps of training: carried as encoded messages, not read.
    pub training: Vec<Vec<u8>>,
    /// Devices that nodes may be placed on: carried as encoded messages, not read.
    pub devices: Vec<Vec<u8>>,
}

impl Model {
    /// Version of the standard operator set, if stated.
    pub fn opset(&self) -> Option<i64> {
        self.opsets
            .iter()
            .find(|(domain, _)| is_standard(domain))
            .map(|(_, version)| *version)
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// The bytes of the file: a pure function of the model.
    pub fn encode(&self) -> Vec<u8> {
        encode::model(self)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Bytes that are no ONNX model, tensors whose data do not fit their shape, fields and codes that the schema does
    /// not know: always with the place in the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::model(bytes)
    }
}

/// Whether a domain is that of the standard operators.
pub(crate) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The domain of ONNX Runtime's own operators.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// Nodes in an order in which every value is computed before it is used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Human-readable text.
    pub doc: String,
    /// What the caller gives.
    pub inputs: Vec<ValueInfo>,
    /// What the caller gets.
    pub outputs: Vec<ValueInfo>,
    /// Notes on values between them.
    pub value_info: Vec<ValueInfo>,
    /// Constants.
    pub initializers: Vec<Tensor>,
    /// Constants given by the values that are not zero; the name of one is that of its `values`.
    pub sparse_initializers: Vec<SparseTensor>,
    /// Operations.
    pub nodes: Vec<Node>,
    /// For a quantised tensor, the names of the tensors that say how: `(tensor, [(role, tensor)])`.
    pub quantization: Vec<(String, Vec<(String, String)>)>,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
}

/// The use of one operator.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Operator, e.g. `MatMul`.
    pub op_type: String,
    /// Domain of the operator; empty for the standard ones.
    pub domain: String,
    /// Which of the functions of this name, if the operator is a function of the file.
    pub overload: String,
    /// Name of this use, e.g. `/layers.0/rnn/MatMul`.
    pub name: String,
    /// Values read; an empty name stands for an optional input that is left out.
    pub inputs: Vec<String>,
    /// Values written; an empty name stands for an optional output that is left out.
    pub outputs: Vec<String>,
    /// Constants of the operator, by name.
    pub attributes: Vec<(String, Attr)>,
    /// Human-readable texts of attributes, by name.
    pub attribute_docs: Vec<(String, String)>,
    /// Human-readable text.
    pub doc: String,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
    /// Placement on devices: carried as encoded messages, not read.
    pub devices: Vec<Vec<u8>>,
}

impl Node {
    /// An attribute by name.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, a)| a)
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attr(name) {
            Some(Attr::Int(i)) => Some(*i),
            _ => None,
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attr(name) {
            Some(Attr::Ints(i)) => Some(i),
            _ => None,
        }
    }

    /// The sub-graphs of this node, with the names of their attributes.
    pub fn subgraphs(&self) -> impl Iterator<Item = (&str, &Graph)> {
        self.attributes.iter().flat_map(|(name, attr)| {
            let graphs: &[Graph] = match attr {
                Attr::Graph(g) => std::slice::from_ref(g.as_ref()),
                Attr::Graphs(g) => g,
                _ => &[],
            };
            graphs.iter().map(move |g| (name.as_str(), g))
        })
    }
}

/// One dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dim {
    /// A number.
    Fixed(i64),
    /// A name; equal names are equal dimensions.
    Symbol(String),
    /// Not stated.
    Unknown,
}

impl Dim {
    /// A named dimension.
    pub fn symbol(name: impl Into<String>) -> Self {
        Self::Symbol(name.into())
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Symbol(s) => f.write_str(s),
            Self::Unknown => f.write_str("?"),
        }
    }
}
