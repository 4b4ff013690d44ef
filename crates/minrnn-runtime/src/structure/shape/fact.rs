//! What is known of a tensor: its type, its shape, and its numbers where shapes are made of them.

use crate::contract::{BATCH, SEQ_LEN};
use crate::error::Breach;
use crate::metadata::short;
use crate::proto::{DataType, Dimension, TensorProto, ValueInfoProto};
use crate::structure::tensor;

/// Dimensions of a tensor.
const MAX_RANK: usize = 8;
/// Size of one dimension: far above any, and far below where sums and signs go wrong. Holds for every fact.
const MAX_DIM: usize = 1 << 40;
/// Numbers of a constant that are followed; longer ones are no shapes.
pub(super) const MAX_CONTENT: usize = 64;

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) elem: DataType,
    pub(super) dims: Vec<usize>,
    /// The numbers of a short integer tensor that is a number or a vector.
    pub(super) ints: Option<Vec<i64>>,
}

impl Fact {
    pub(super) fn new(elem: DataType, dims: Vec<usize>) -> Self {
        Self {
            elem,
            dims,
            ints: None,
        }
    }

    /// A vector of numbers.
    pub(super) fn vector(ints: Vec<i64>) -> Self {
        Self {
            elem: DataType::Int64,
            dims: vec![ints.len()],
            ints: Some(ints).filter(|i| i.len() <= MAX_CONTENT),
        }
    }

    pub(super) fn of(data: &TensorProto) -> Option<Self> {
        let dims = data.dims.iter().map(|d| usize::try_from(*d).ok());
        let ints = known(data).filter(|i| i.len() as i64 == data.dims.iter().product::<i64>());
        Some(Self {
            elem: DataType::try_from(data.data_type).ok()?,
            dims: dims.collect::<Option<_>>()?,
            ints,
        })
    }

    /// For messages.
    pub(super) fn words(&self) -> String {
        let elem = match self.elem {
            DataType::Float => "f32".into(),
            DataType::Double => "f64".into(),
            DataType::Float16 => "f16".into(),
            other => other.as_str_name().to_ascii_lowercase(),
        };
        format!("{elem} {:?}", self.dims)
    }

    pub(super) fn with(mut self, ints: Option<Vec<i64>>) -> Self {
        let count = self.volume();
        self.ints = ints.filter(|i| i.len() as u64 == count && i.len() <= MAX_CONTENT);
        self
    }

    pub(super) fn volume(&self) -> u64 {
        volume(&self.dims)
    }

    pub(super) fn bytes(&self) -> u64 {
        let size = match self.elem {
            DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
            DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
            DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
            _ => 4,
        };
        self.volume().saturating_mul(size)
    }

    /// Of a shape that no tensor has.
    pub(super) fn is_wide(&self) -> bool {
        self.dims.len() > MAX_RANK || !self.is_within()
    }

    /// No dimension is out of reach.
    pub(super) fn is_within(&self) -> bool {
        self.dims.iter().all(|d| *d <= MAX_DIM)
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(
            self.elem,
            DataType::Float | DataType::Float16 | DataType::Double
        )
    }

    pub(super) fn is_index(&self) -> bool {
        matches!(self.elem, DataType::Int64 | DataType::Int32)
    }
}

pub(super) fn volume(dims: &[usize]) -> u64 {
    dims.iter().fold(1u64, |n, d| n.saturating_mul(*d as u64))
}

/// The numbers of a short integer tensor.
pub(super) fn known(tensor: &TensorProto) -> Option<Vec<i64>> {
    let few = |d: &i64| (0..=MAX_CONTENT as i64).contains(d);
    if tensor.dims.len() > 1 || !tensor.dims.iter().all(few) {
        return None;
    }
    tensor::int64s(tensor)
}

/// What the file declares for an input.
pub(super) fn port(info: &ValueInfoProto, batch: usize, time: usize) -> Result<Fact, Breach> {
    let wrong = |what: &str| Breach::new(format!("input `{}`", short(&info.name)), what);
    let Some(found) = info.tensor_type() else {
        return Err(wrong("has no tensor type"));
    };
    let dims = found.shape.iter().flat_map(|s| &s.dim).map(|d| match d {
        Dimension::Value(n) => usize::try_from(*n).ok(),
        Dimension::Param(s) if s == BATCH => Some(batch),
        Dimension::Param(s) if s == SEQ_LEN => Some(time),
        _ => None,
    });
    let dims: Option<Vec<usize>> = dims.collect();
    let elem = DataType::try_from(found.elem_type).ok();
    let (Some(dims), Some(elem)) = (dims, elem) else {
        return Err(wrong("has a dimension or a type that is not known"));
    };
    Ok(Fact::new(elem, dims))
}
