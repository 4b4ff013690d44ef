//! Values on their way between two graphs, in all readings of the judge.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use minrnn_model::compare::Comparison;
use minrnn_onnx::eval::{Array, Output};

use super::port::Elem;

/// Which of a tensor's values are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Computed in float64: what the file means.
    Exact,
    /// Every operation rounded to its type: what the type costs.
    Rounded,
}

/// A tensor: what the judge makes of it, or what an engine gave.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) value: Output,
}

impl Tensor {
    pub(crate) fn known(array: Array) -> Self {
        let value = Output::known(array);
        Self { value }
    }

    /// Floats of a type, rounded to it.
    pub(crate) fn floats(elem: Elem, shape: &[usize], values: &[f64]) -> Result<Self> {
        Ok(Self::known(Array::from_floats(elem, shape, values)?))
    }

    /// Integers of a type, or booleans as 0 and 1.
    pub(crate) fn ints(elem: Elem, shape: &[usize], values: &[i128]) -> Result<Self> {
        Ok(Self::known(Array::from_ints(elem, shape, values)?))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.value.dims()
    }

    pub(crate) fn array(&self, reading: Reading) -> &Array {
        match reading {
            Reading::Exact => self.value.exact(),
            Reading::Rounded => self.value.stepwise(),
        }
    }

    /// Its values as floats: exact but for integers beyond 2^53.
    pub(crate) fn values(&self, reading: Reading) -> Vec<f64> {
        let array = self.array(reading);
        let ints = |v: &[i128]| v.iter().map(|n| *n as f64).collect();
        match (array.floats(), array.ints()) {
            (Some(v), _) => v.to_vec(),
            (_, Some(v)) => ints(v),
            _ => vec![],
        }
    }

    /// The same tensor as something that is given: what its type holds of it.
    pub(crate) fn settled(&self) -> Self {
        Self::known(self.value.rounded())
    }

    /// The entries `from..to` along `axis`.
    pub(crate) fn cut(&self, axis: usize, from: usize, to: usize) -> Result<Self> {
        let value = self.value.part(axis, from, to)?;
        Ok(Self { value })
    }

    /// Without `axis`, which has one entry.
    pub(crate) fn squeeze(self, axis: usize) -> Result<Self> {
        let mut dims = self.shape().to_vec();
        dims.remove(axis);
        let value = self.value.reshaped(&dims)?;
        Ok(Self { value })
    }

    /// The same values in other axes.
    pub(crate) fn reshaped(&self, dims: &[usize]) -> Result<Self> {
        let value = self.value.reshaped(dims)?;
        Ok(Self { value })
    }

    /// With a new axis of one entry.
    pub(crate) fn unsqueeze(self, axis: usize) -> Result<Self> {
        let mut dims = self.shape().to_vec();
        dims.insert(axis.min(dims.len()), 1);
        let value = self.value.reshaped(&dims)?;
        Ok(Self { value })
    }

    /// Parts side by side along `axis`.
    pub(crate) fn join(parts: &[Self], axis: usize) -> Result<Self> {
        let all: Vec<Output> = parts.iter().map(|p| p.value.clone()).collect();
        match Output::joined(&all, axis) {
            Ok(value) => Ok(Self { value }),
            Err(_) => {
                let shapes: Vec<_> = parts.iter().map(Self::shape).collect();
                bail!("pieces of an output do not fit together: {shapes:?} along axis {axis}")
            }
        }
    }

    /// How far apart two tensors of one shape are, each in a reading. Positions that hang on an edge in either, and what is no number
    /// in both, count as the same.
    pub(crate) fn apart((a, of_a): (&Self, Reading), (b, of_b): (&Self, Reading)) -> Comparison {
        let edges = [a, b].into_iter().flat_map(|t| t.value.edges());
        let edges: BTreeSet<usize> = edges.map(|e| e.position).collect();
        let mut c = Comparison::default();
        if let (Some(x), Some(y)) = (a.array(of_a).ints(), b.array(of_b).ints()) {
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                c.push_int(*x, if edges.contains(&i) { *x } else { *y }, false);
            }
            return c;
        }
        let (x, y) = (a.values(of_a), b.values(of_b));
        for (i, (x, y)) in x.iter().zip(&y).enumerate() {
            let alike = (x.is_nan() && y.is_nan()) || edges.contains(&i);
            let (x, y) = if alike { (0.0, 0.0) } else { (*x, *y) };
            c.push(x, y, 0.0);
        }
        c
    }

    /// Where the value at a flat index stands.
    pub(crate) fn index(&self, flat: usize) -> Vec<usize> {
        let mut rest = flat;
        let mut at: Vec<usize> = self
            .shape()
            .iter()
            .rev()
            .map(|d| {
                let i = rest % (*d).max(1);
                rest /= (*d).max(1);
                i
            })
            .collect();
        at.reverse();
        at
    }

    /// Largest finite absolute value; 0 for none.
    pub(crate) fn largest(&self) -> f64 {
        let floats = self.value.exact().floats().unwrap_or_default();
        let finite = floats.iter().filter(|v| v.is_finite());
        finite.fold(0.0, |m, v| m.max(v.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_and_joining_are_inverse_on_every_axis() {
        let values: Vec<f64> = (0..30).map(f64::from).collect();
        let whole = Tensor::floats(Elem::F32, &[2, 5, 3], &values).unwrap();
        for axis in 0..3 {
            let n = whole.shape()[axis];
            for at in 0..=n {
                let parts = [whole.cut(axis, 0, at), whole.cut(axis, at, n)].map(Result::unwrap);
                let joined = Tensor::join(&parts, axis).unwrap();
                assert_eq!(joined.value.exact(), whole.value.exact());
            }
        }
        assert_eq!(
            whole
                .cut(1, 2, 3)
                .unwrap()
                .squeeze(1)
                .unwrap()
                .values(Reading::Exact),
            [6.0, 7.0, 8.0, 21.0, 22.0, 23.0]
        );
        assert_eq!(whole.index(23), [1, 2, 2]);
    }
}
