//! A value outside of its run: read, cut, joined, given to another run.

use super::EvalErrorKind as Fault;
use super::array::Array;
use super::ops::cast::cast;
use super::ops::cut::part;
use super::rows::{each, joined};
use super::value::Value;
use crate::ir::DType;

/// A position of an output whose value hangs on a decision within rounding.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Which element, in row-major order.
    pub position: usize,
    /// What it would be had the decisions fallen the other way: one value.
    pub other: Array,
}

/// One value of a graph, in its readings.
#[derive(Debug, Clone)]
pub struct Output {
    pub(super) value: Value,
}

impl Output {
    /// A value that is known as it is, rounded to its type: an input.
    pub fn known(array: Array) -> Self {
        Self {
            value: Value::known(array.rounded()),
        }
    }

    /// In float64; rounded only where the standard rounds.
    pub fn exact(&self) -> &Array {
        &self.value.exact
    }

    /// The exact values, rounded once to the declared type.
    pub fn rounded(&self) -> Array {
        self.value.exact.rounded()
    }

    /// Every operator's result rounded to its type.
    pub fn stepwise(&self) -> &Array {
        &self.value.stepwise
    }

    /// Positions that hang on an edge.
    pub fn edges(&self) -> Vec<Edge> {
        let all = self.value.edges().into_iter();
        all.map(|(position, other)| Edge { position, other })
            .collect()
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        self.value.stepwise.dims()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.value.stepwise.dtype()
    }

    /// The entries `from..to` along an axis, in all readings.
    ///
    /// # Errors
    /// An axis or entries that it does not have.
    pub fn part(&self, axis: usize, from: usize, to: usize) -> Result<Self, Fault> {
        let value = each(&self.value, |a| part(a, axis, from, to))?;
        Ok(Self { value })
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// A shape of another number of elements.
    pub fn reshaped(&self, dims: &[usize]) -> Result<Self, Fault> {
        let value = each(&self.value, |a| a.reshaped(dims))?;
        Ok(Self { value })
    }

    /// The same values in another element type, as the operator Cast has it.
    ///
    /// # Errors
    /// Values that the type does not hold.
    pub fn to_type(&self, dtype: DType) -> Result<Self, Fault> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let value = each(&self.value, |a| Ok(cast(a, dtype)?.rounded()))?;
        Ok(Self { value })
    }

    /// Values one after the other along an axis, in all readings.
    ///
    /// # Errors
    /// None at all, types or shapes that do not fit.
    pub fn joined(all: &[Self], axis: usize) -> Result<Self, Fault> {
        let values: Vec<&Value> = all.iter().map(|o| &o.value).collect();
        Ok(Self {
            value: joined(&values, axis)?,
        })
    }
}
