//! The ONNX graph as plain Rust types, apart from protobuf.
//!
//! Everything in this crate works on these types; only `encode` and `decode` know the file format. A decoded file
//! is complete or refused: nothing that would change what the graph computes is dropped without a word.
//! (Fields that the schema in `proto/` does not declare, such as device placement, are skipped.)

mod decode;
mod decode_tensor;
mod dtype;
mod encode;
mod error;
mod tensor;
#[cfg(test)]
mod tests;

pub use dtype::DType;
pub use error::{DecodeError, DecodeErrorKind};
pub use tensor::{External, Tensor, TensorData};

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
    /// Bytes that are no ONNX model, tensors whose data do not fit their shape, and what these types cannot hold
    /// (functions, sparse tensors, sequences, training steps): always with the place in the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::model(bytes)
    }
}

/// Whether a domain is that of the standard operators.
pub(crate) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

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
    /// Name of this use, e.g. `/layers.0/rnn/MatMul`.
    pub name: String,
    /// Values read; an empty name stands for an optional input that is left out.
    pub inputs: Vec<String>,
    /// Values written; an empty name stands for an optional output that is left out.
    pub outputs: Vec<String>,
    /// Constants of the operator, by name.
    pub attributes: Vec<(String, Attr)>,
    /// Human-readable text.
    pub doc: String,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
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

/// A constant of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// One integer.
    Int(i64),
    /// One number.
    Float(f32),
    /// Bytes, usually UTF-8.
    Str(Vec<u8>),
    /// One tensor.
    Tensor(Tensor),
    /// A sub-graph.
    Graph(Box<Graph>),
    /// Integers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Strings of bytes.
    Strs(Vec<Vec<u8>>),
    /// Tensors.
    Tensors(Vec<Tensor>),
    /// Sub-graphs.
    Graphs(Vec<Graph>),
}

impl Attr {
    /// The kind in the words of the format.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "INT",
            Self::Float(_) => "FLOAT",
            Self::Str(_) => "STRING",
            Self::Tensor(_) => "TENSOR",
            Self::Graph(_) => "GRAPH",
            Self::Ints(_) => "INTS",
            Self::Floats(_) => "FLOATS",
            Self::Strs(_) => "STRINGS",
            Self::Tensors(_) => "TENSORS",
            Self::Graphs(_) => "GRAPHS",
        }
    }
}

/// A value with its type, as far as it is stated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueInfo {
    /// The value's name.
    pub name: String,
    /// Element type.
    pub dtype: Option<DType>,
    /// Shape; `None` if not even the rank is stated.
    pub dims: Option<Vec<Dim>>,
    /// Human-readable text.
    pub doc: String,
}

impl ValueInfo {
    /// A value whose type and shape are stated.
    pub fn new(name: impl Into<String>, dtype: DType, dims: Vec<Dim>) -> Self {
        Self {
            name: name.into(),
            dtype: Some(dtype),
            dims: Some(dims),
            doc: String::new(),
        }
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
