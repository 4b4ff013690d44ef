//! Constants of nodes.

use super::{Graph, Tensor, Type};

/// A constant of a node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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
    /// A tensor given by the values that are not zero.
    SparseTensor(Box<SparseTensor>),
    /// Such tensors.
    SparseTensors(Vec<SparseTensor>),
    /// A type.
    Type(Type),
    /// Types.
    Types(Vec<Type>),
    /// Inside a function: whatever the caller gives for an attribute of the function.
    Ref {
        /// The function's attribute.
        attribute: String,
        /// Of which kind it is.
        kind: AttrKind,
    },
}

macro_rules! kinds {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// Kind of a constant. Codes are those of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum AttrKind { $($name),* }

        impl AttrKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// From the number in the file.
            pub fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The number in the file.
            pub fn code(self) -> i32 {
                match self { $(Self::$name => $code),* }
            }

            /// In the words of the format.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

kinds! {
    Float = 1, "FLOAT";
    Int = 2, "INT";
    Str = 3, "STRING";
    Tensor = 4, "TENSOR";
    Graph = 5, "GRAPH";
    Floats = 6, "FLOATS";
    Ints = 7, "INTS";
    Strs = 8, "STRINGS";
    Tensors = 9, "TENSORS";
    Graphs = 10, "GRAPHS";
    SparseTensor = 11, "SPARSE_TENSOR";
    SparseTensors = 12, "SPARSE_TENSORS";
    Type = 13, "TYPE_PROTO";
    Types = 14, "TYPE_PROTOS";
}

impl Attr {
    /// The kind.
    pub fn kind_of(&self) -> AttrKind {
        match self {
            Self::Int(_) => AttrKind::Int,
            Self::Float(_) => AttrKind::Float,
            Self::Str(_) => AttrKind::Str,
            Self::Tensor(_) => AttrKind::Tensor,
            Self::Graph(_) => AttrKind::Graph,
            Self::Ints(_) => AttrKind::Ints,
            Self::Floats(_) => AttrKind::Floats,
            Self::Strs(_) => AttrKind::Strs,
            Self::Tensors(_) => AttrKind::Tensors,
            Self::Graphs(_) => AttrKind::Graphs,
            Self::SparseTensor(_) => AttrKind::SparseTensor,
            Self::SparseTensors(_) => AttrKind::SparseTensors,
            Self::Type(_) => AttrKind::Type,
            Self::Types(_) => AttrKind::Types,
            Self::Ref { kind, .. } => *kind,
        }
    }

    /// The kind in the words of the format.
    pub fn kind(&self) -> &'static str {
        self.kind_of().name()
    }
}

/// A tensor given by the values that are not zero.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseTensor {
    /// The values, `[N]`; its name is the name of the whole.
    pub values: Tensor,
    /// Where they are: `[N]` positions in row-major order, or `[N, rank]` coordinates; i64.
    pub indices: Tensor,
    /// Shape of the whole.
    pub dims: Vec<i64>,
}
