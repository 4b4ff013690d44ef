//! Types of values.

use std::collections::BTreeMap;
use std::fmt;

use super::{Expr, Rule};
use crate::ir::{DType, Dim, ValueInfo};

/// A dimension, as far as it is known.
pub type Extent = Option<Expr>;

/// Element type and shape of a value, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorType {
    /// Element type.
    pub dtype: Option<DType>,
    /// Shape; `None` if not even the rank is known.
    pub dims: Option<Vec<Extent>>,
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            Some(d) => write!(f, "{d}")?,
            None => f.write_str("?")?,
        }
        match &self.dims {
            None => f.write_str("[..]"),
            Some(dims) => write!(
                f,
                "[{}]",
                dims.iter().map(extent_text).collect::<Vec<_>>().join(",")
            ),
        }
    }
}

pub(super) fn extent_text(extent: &Extent) -> String {
    extent
        .as_ref()
        .map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// Types of all values of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Types {
    pub(super) values: BTreeMap<String, TensorType>,
    /// By index of the node and position among its sub-graphs.
    pub(super) subgraphs: BTreeMap<(usize, usize), Types>,
}

impl Types {
    /// The type of a value of this graph (not of its sub-graphs).
    pub fn get(&self, name: &str) -> Option<&TensorType> {
        self.values.get(name)
    }

    /// Types in the `position`-th sub-graph of the node at `node`.
    pub fn subgraph(&self, node: usize, position: usize) -> Option<&Types> {
        self.subgraphs.get(&(node, position))
    }
}

/// What is known of a value while walking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Info {
    pub(super) ty: TensorType,
    /// Entries of a number or short vector of i64: what shapes are computed from.
    pub(super) content: Option<Vec<Expr>>,
}

impl Info {
    pub(super) fn new(dtype: Option<DType>, dims: Option<Vec<Extent>>) -> Self {
        Self {
            ty: TensorType { dtype, dims },
            content: None,
        }
    }

    pub(super) fn rank(&self) -> Option<usize> {
        self.ty.dims.as_ref().map(Vec::len)
    }
}

/// A rule that does not hold, before its place is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) detail: String,
}

pub(super) fn fault<T>(rule: Rule, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        rule,
        detail: detail.into(),
    })
}

/// Both must be the same dimension: what is known of it. `None` if they provably differ or cannot be shown to be equal.
pub(super) fn same(a: &Extent, b: &Extent) -> Option<Extent> {
    match (a, b) {
        (Some(x), Some(y)) => (x == y).then(|| a.clone()),
        (None, known) | (known, None) => Some(known.clone()),
    }
}

pub(super) fn extent_of(dim: &Dim) -> Extent {
    match dim {
        Dim::Fixed(n) => Some(Expr::number(*n)),
        Dim::Symbol(s) => Some(Expr::symbol(s)),
        Dim::Unknown => None,
    }
}

/// What a value is declared to be.
pub(super) fn declared(value: &ValueInfo) -> Info {
    Info::new(
        value.dtype,
        value
            .dims
            .as_ref()
            .map(|d| d.iter().map(extent_of).collect()),
    )
}

/// Declared and computed must agree; gives what is known of both.
pub(super) fn agree(value: &ValueInfo, computed: &Info) -> Result<Info, Fault> {
    let stated = declared(value);
    let differs = || {
        let detail = format!(
            "declared as {}, but the graph computes {}",
            stated.ty, computed.ty
        );
        Fault {
            rule: Rule::Declared,
            detail,
        }
    };
    let dtype = match (stated.ty.dtype, computed.ty.dtype) {
        (Some(a), Some(b)) if a != b => return Err(differs()),
        (a, b) => b.or(a),
    };
    let dims = match (&stated.ty.dims, &computed.ty.dims) {
        (Some(a), Some(b)) if a.len() != b.len() => return Err(differs()),
        (Some(a), Some(b)) => Some(
            a.iter()
                .zip(b)
                .map(|(a, b)| same(b, a).ok_or_else(differs))
                .collect::<Result<_, _>>()?,
        ),
        (a, b) => b.clone().or_else(|| a.clone()),
    };
    Ok(Info {
        ty: TensorType { dtype, dims },
        content: computed.content.clone(),
    })
}
