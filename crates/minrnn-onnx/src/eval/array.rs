//! Arrays: floats in float64, integers and booleans exactly.

mod bytes;

use std::sync::Arc;

use super::EvalErrorKind as Fault;
use super::number::{int_range, round, wrap};
use crate::ir::{DType, Tensor, TensorData};

/// Values of one element type in a shape. Floats are held in float64 and need not be values of the type; cloning is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    dims: Vec<usize>,
    dtype: DType,
    data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Floats(Arc<Vec<f64>>),
    Ints(Arc<Vec<i128>>),
}

/// Product of dimensions, if it can be counted. Of a shape with a 0 the other dimensions count too: products of them are
/// what operators walk over.
pub(super) fn count(dims: &[usize]) -> Option<usize> {
    let empty = dims.contains(&0);
    let most = if empty { 1 << 24 } else { 1 << 48 };
    let walked = dims
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul((*d).max(1)));
    walked
        .filter(|n| *n <= most)
        .map(|n| if empty { 0 } else { n })
}

impl Array {
    /// Floats of a type, as they are given; the length is that of the shape.
    pub(super) fn of_floats(dtype: DType, dims: Vec<usize>, data: Vec<f64>) -> Self {
        debug_assert_eq!(count(&dims), Some(data.len()));
        let data = Data::Floats(Arc::new(data));
        Self { dims, dtype, data }
    }

    /// Integers of a type; what does not fit loses its high bits. The length is that of the shape.
    pub(super) fn of_ints(dtype: DType, dims: Vec<usize>, mut data: Vec<i128>) -> Self {
        debug_assert_eq!(count(&dims), Some(data.len()));
        data.iter_mut().for_each(|n| *n = wrap(dtype, *n));
        let data = Data::Ints(Arc::new(data));
        Self { dims, dtype, data }
    }

    pub(super) fn of_bools(dims: Vec<usize>, data: impl Iterator<Item = bool>) -> Self {
        Self::of_ints(DType::Bool, dims, data.map(i128::from).collect())
    }

    pub(super) fn of_i64s(dims: Vec<usize>, data: impl Iterator<Item = i64>) -> Self {
        Self::of_ints(DType::I64, dims, data.map(i128::from).collect())
    }

    /// Floats of type f32, f16, bf16 or f64, rounded to it.
    ///
    /// # Errors
    /// Another type, or not as many values as the shape has.
    pub fn from_floats(dtype: DType, dims: &[usize], data: &[f64]) -> Result<Self, Fault> {
        fits(dims, data.len())?;
        match dtype.is_float() {
            true => {
                let data = data.iter().map(|x| round(dtype, *x)).collect();
                Ok(Self::of_floats(dtype, dims.to_vec(), data))
            }
            false => Err(Fault::Type(format!("{dtype} is no float"))),
        }
    }

    /// Integers of a type, or booleans as 0 and 1.
    ///
    /// # Errors
    /// Another type, a value that the type does not hold, or not as many values as the shape has.
    pub fn from_ints(dtype: DType, dims: &[usize], data: &[i128]) -> Result<Self, Fault> {
        fits(dims, data.len())?;
        let Some((low, high)) = int_range(dtype) else {
            return Err(Fault::Type(format!("{dtype} is no integer")));
        };
        match data.iter().find(|n| !(low..=high).contains(*n)) {
            Some(n) => Err(Fault::Value(format!("{dtype} has no {n}"))),
            None => Ok(Self::of_ints(dtype, dims.to_vec(), data.to_vec())),
        }
    }

    /// A tensor whose values are here.
    pub(super) fn of_tensor(t: &Tensor) -> Result<Self, Fault> {
        let dims = tensor_dims(t)?;
        match &t.data {
            TensorData::Bytes(bytes) => Self::from_bytes(t.dtype, &dims, bytes),
            TensorData::Strings(_) => Err(Fault::Elements(t.dtype)),
            TensorData::External(_) => Err(Fault::External(
                "they may not be those of an attribute".into(),
            )),
        }
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Floats(v) => v.len(),
            Data::Ints(v) => v.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The floats, in row-major order; `None` for integers and booleans.
    pub fn floats(&self) -> Option<&[f64]> {
        match &self.data {
            Data::Floats(v) => Some(v),
            Data::Ints(_) => None,
        }
    }

    /// The integers, or booleans as 0 and 1, in row-major order; `None` for floats.
    pub fn ints(&self) -> Option<&[i128]> {
        match &self.data {
            Data::Ints(v) => Some(v),
            Data::Floats(_) => None,
        }
    }

    /// Floats rounded to the element type; integers as they are.
    pub fn rounded(&self) -> Self {
        let Data::Floats(v) = &self.data else {
            return self.clone();
        };
        // What is rounded already is shared, not copied: so equal values stay known as equal.
        if v.iter().all(|x| same(*x, round(self.dtype, *x))) {
            return self.clone();
        }
        let all = v.iter().map(|x| round(self.dtype, *x)).collect();
        Self::of_floats(self.dtype, self.dims.clone(), all)
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// A shape of another number of elements.
    pub fn reshaped(&self, dims: &[usize]) -> Result<Self, Fault> {
        fits(dims, self.len())?;
        Ok(self.shaped(dims.to_vec()))
    }

    pub(super) fn data(&self) -> &Data {
        &self.data
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self.data, Data::Floats(_))
    }

    /// Whether both are the same values in memory.
    pub(super) fn shares(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Floats(a), Data::Floats(b)) => Arc::ptr_eq(a, b),
            (Data::Ints(a), Data::Ints(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Bytes that the values take here.
    pub(super) fn bytes(&self) -> u64 {
        match &self.data {
            Data::Floats(v) => 8 * v.len() as u64,
            Data::Ints(v) => 16 * v.len() as u64,
        }
    }

    /// The elements at flat indices, in a new shape.
    pub(super) fn pick(&self, dims: Vec<usize>, at: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Floats(v) => Data::Floats(Arc::new(at.map(|i| v[i]).collect())),
            Data::Ints(v) => Data::Ints(Arc::new(at.map(|i| v[i]).collect())),
        };
        let dtype = self.dtype;
        Self { dims, dtype, data }
    }

    /// The elements at flat indices, in a new shape; for `None`, the first element of `other`, which has the same type.
    pub(super) fn pick_or(
        &self,
        other: Option<&Self>,
        dims: Vec<usize>,
        at: impl Iterator<Item = Option<usize>>,
    ) -> Self {
        let float = other.and_then(|o| o.floats()?.first().copied());
        let int = other.and_then(|o| o.ints()?.first().copied());
        let (float, int) = (float.unwrap_or(0.0), int.unwrap_or(0));
        let data = match &self.data {
            Data::Floats(v) => {
                Data::Floats(Arc::new(at.map(|i| i.map_or(float, |i| v[i])).collect()))
            }
            Data::Ints(v) => Data::Ints(Arc::new(at.map(|i| i.map_or(int, |i| v[i])).collect())),
        };
        let dtype = self.dtype;
        Self { dims, dtype, data }
    }

    /// The same elements in another shape of as many.
    pub(super) fn shaped(&self, dims: Vec<usize>) -> Self {
        debug_assert_eq!(count(&dims), Some(self.len()));
        Self {
            dims,
            ..self.clone()
        }
    }

    /// Other floats of the same type and shape.
    pub(super) fn with(&self, data: Vec<f64>) -> Self {
        Self::of_floats(self.dtype, self.dims.clone(), data)
    }

    /// Every element by a function of floats, or one of integers.
    pub(super) fn map(&self, float: impl Fn(f64) -> f64, int: impl Fn(i128) -> i128) -> Self {
        match &self.data {
            Data::Floats(v) => self.with(v.iter().map(|x| float(*x)).collect()),
            Data::Ints(v) => {
                let all = v.iter().map(|n| int(*n)).collect();
                Self::of_ints(self.dtype, self.dims.clone(), all)
            }
        }
    }

    /// Every element as a float.
    pub(super) fn as_floats(&self) -> Vec<f64> {
        match &self.data {
            Data::Floats(v) => v.to_vec(),
            Data::Ints(v) => v.iter().map(|n| *n as f64).collect(),
        }
    }
}

/// Bit for bit, or both no number.
pub(super) fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn fits(dims: &[usize], got: usize) -> Result<(), Fault> {
    match count(dims) == Some(got) {
        true => Ok(()),
        false => Err(Fault::Shape(format!("{got} values for the shape {dims:?}"))),
    }
}

pub(super) fn tensor_dims(t: &Tensor) -> Result<Vec<usize>, Fault> {
    t.dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .collect::<Option<_>>()
        .ok_or_else(|| Fault::Shape(format!("{:?} is not possible", t.dims)))
}
