//! What a value is: a tensor nearly always, else one of the format's other types.

use super::{DType, Dim};

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
    /// The type of a value that is no tensor; `dtype` and `dims` are `None` then.
    pub other: Option<Box<Type>>,
    /// What the value stands for, in the words of the format, e.g. `IMAGE`.
    pub denotation: String,
    /// What each dimension stands for, e.g. `DATA_BATCH`; empty if none says.
    pub dim_denotations: Vec<String>,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
}

impl ValueInfo {
    /// A value whose type and shape are stated.
    pub fn new(name: impl Into<String>, dtype: DType, dims: Vec<Dim>) -> Self {
        Self {
            name: name.into(),
            dtype: Some(dtype),
            dims: Some(dims),
            ..Self::default()
        }
    }
}

/// A type: of a value that is no tensor, or as the value of an attribute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Type {
    /// What it is.
    pub kind: TypeKind,
    /// What the value stands for.
    pub denotation: String,
}

/// The kinds of types.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum TypeKind {
    /// Not stated.
    #[default]
    Unknown,
    /// A tensor.
    Tensor(TensorShape),
    /// A tensor of which most values are zero.
    SparseTensor(TensorShape),
    /// Any number of values of one type.
    Sequence(Option<Box<Type>>),
    /// A value that may be absent.
    Optional(Option<Box<Type>>),
    /// Values by key.
    Map {
        /// Type of the keys.
        key: Option<DType>,
        /// Type of the values.
        value: Option<Box<Type>>,
    },
    /// Known only to the operators of a domain.
    Opaque {
        /// The domain.
        domain: String,
        /// The type's name there.
        name: String,
    },
}

/// Element type and shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorShape {
    /// Element type.
    pub dtype: Option<DType>,
    /// Shape; `None` if not even the rank is stated.
    pub dims: Option<Vec<Dim>>,
    /// What each dimension stands for; empty if none says.
    pub dim_denotations: Vec<String>,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = |f: &mut std::fmt::Formatter<'_>, kind: &str, ty: &Option<Box<Type>>| match ty {
            Some(ty) => write!(f, "{kind}({ty})"),
            None => write!(f, "{kind}(?)"),
        };
        match &self.kind {
            TypeKind::Unknown => f.write_str("?"),
            TypeKind::Tensor(t) => t.fmt(f),
            TypeKind::SparseTensor(t) => write!(f, "sparse({t})"),
            TypeKind::Sequence(ty) => inner(f, "seq", ty),
            TypeKind::Optional(ty) => inner(f, "optional", ty),
            TypeKind::Map { key, value } => {
                write!(f, "map({}, ", key.map_or("?", DType::name))?;
                match value {
                    Some(ty) => write!(f, "{ty})"),
                    None => f.write_str("?)"),
                }
            }
            TypeKind::Opaque { domain, name } => write!(f, "opaque({domain:?}, {name:?})"),
        }
    }
}

impl std::fmt::Display for TensorShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.dtype.map_or("?", DType::name))?;
        let Some(dims) = &self.dims else {
            return f.write_str("[..]");
        };
        f.write_str("[")?;
        for (i, dim) in dims.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match dim {
                // A name that is no plain word is quoted: a file cannot forge text.
                Dim::Symbol(s) if !plain(s) => write!(f, "{comma}{s:?}")?,
                dim => write!(f, "{comma}{dim}")?,
            }
        }
        f.write_str("]")
    }
}

fn plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_./:-+*()".contains(c);
    !text.is_empty() && text.chars().all(word)
}
