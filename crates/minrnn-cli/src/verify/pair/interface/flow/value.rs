//! What is known of a value without running the graph.

use std::collections::BTreeSet;

use minrnn_onnx::ir::{DType, Tensor, TensorData};

/// An input of the graph, by its place, and one of its axes.
pub(super) type Origin = (usize, usize);

/// An axis of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Axis {
    /// The axes of inputs that it is.
    pub(super) origins: BTreeSet<Origin>,
    pub(super) size: Option<i64>,
}

impl Axis {
    pub(super) fn sized(n: i64) -> Self {
        Self {
            size: Some(n),
            ..Self::default()
        }
    }

    /// The same axis of several values that are broadcast.
    pub(super) fn together<'a>(axes: impl Iterator<Item = &'a Self>) -> Self {
        let mut one = Self::sized(1);
        for axis in axes {
            one.origins.extend(&axis.origins);
            one.size = match (one.size, axis.size) {
                (Some(1), size) | (size, Some(1)) => size,
                (known @ Some(_), _) | (_, known) => known,
            };
        }
        one
    }

    /// The same axis of another length.
    pub(super) fn resized(&self) -> Self {
        Self {
            origins: self.origins.clone(),
            size: None,
        }
    }
}

/// The axes of a value; `None`: not even their number is known.
pub(super) type Axes = Option<Vec<Axis>>;

/// A whole number inside of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    Known(i64),
    /// The length of an axis.
    Length(Axis),
    Unknown,
}

/// What a value is, apart from how its axes are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    /// An input.
    Is(usize),
    /// What a recurrence makes of an input that is its state.
    Next(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) axes: Axes,
    /// The values, if they are few whole numbers.
    pub(super) numbers: Option<Vec<Number>>,
    pub(super) tags: BTreeSet<Tag>,
}

/// Tensors with more values are no shapes and no lists of axes.
const FEW: usize = 64;

impl Value {
    pub(super) fn new(axes: Vec<Axis>) -> Self {
        Self {
            axes: Some(axes),
            ..Self::default()
        }
    }

    pub(super) fn sized(dims: &[i64]) -> Self {
        Self::new(dims.iter().map(|n| Axis::sized(*n)).collect())
    }

    pub(super) fn constant(tensor: &Tensor) -> Self {
        let few = tensor.len().is_ok_and(|n| n <= FEW);
        let values = if few { whole_numbers(tensor) } else { None };
        Self {
            numbers: values.map(|v| v.into_iter().map(Number::Known).collect()),
            ..Self::sized(&tensor.dims)
        }
    }

    /// A list of whole numbers.
    pub(super) fn list(numbers: Vec<Number>) -> Self {
        if numbers.len() > FEW {
            return Self::sized(&[numbers.len() as i64]);
        }
        Self {
            axes: Some(vec![Axis::sized(numbers.len() as i64)]),
            numbers: Some(numbers),
            ..Self::default()
        }
    }

    pub(super) fn rank(&self) -> Option<usize> {
        self.axes.as_ref().map(Vec::len)
    }

    pub(super) fn axis(&self, at: usize) -> Option<&Axis> {
        self.axes.as_ref()?.get(at)
    }

    /// The numbers, if all are known.
    pub(super) fn known(&self) -> Option<Vec<i64>> {
        let one = |n: &Number| match n {
            Number::Known(n) => Some(*n),
            _ => None,
        };
        self.numbers.as_ref()?.iter().map(one).collect()
    }

    /// The same values with other axes.
    pub(super) fn with(&self, axes: Axes) -> Self {
        Self {
            axes,
            ..self.clone()
        }
    }

    /// Other values along the same axes.
    pub(super) fn along(&self) -> Self {
        Self {
            axes: self.axes.clone(),
            ..Self::default()
        }
    }
}

/// Whole numbers of the types that axes and shapes are given in.
pub(super) fn whole_numbers(tensor: &Tensor) -> Option<Vec<i64>> {
    let TensorData::Bytes(bytes) = &tensor.data else {
        return None;
    };
    match tensor.dtype {
        DType::I64 => tensor.to_i64(),
        DType::I32 => {
            let four = |c: &[u8]| i64::from(i32::from_le_bytes([c[0], c[1], c[2], c[3]]));
            Some(bytes.chunks_exact(4).map(four).collect())
        }
        DType::Bool | DType::U8 => Some(bytes.iter().map(|b| i64::from(*b)).collect()),
        _ => None,
    }
}

/// An axis counted from either end.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank)
}
