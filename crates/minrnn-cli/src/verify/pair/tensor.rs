//! Values on their way between two graphs: f64 holds every f32, every f16 and every integer up to 2^53.

use anyhow::{Result, bail};
use minrnn_runtime::{Array, Elem, Values};

/// A tensor of any element type, its values widened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Tensor {
    pub(crate) fn of(array: &Array) -> Self {
        Self {
            shape: array.shape.clone(),
            values: array.values.to_f64(),
        }
    }

    /// For an input of that type; `wide`: floats as f64, for a widened graph.
    pub(crate) fn to_array(&self, elem: Elem, wide: bool) -> Array {
        let v = &self.values;
        // Values were made for this type, or came out of a graph with it: nothing is lost.
        let values = match elem {
            Elem::F16 | Elem::F32 | Elem::F64 if wide => Values::F64(v.clone()),
            Elem::F64 => Values::F64(v.clone()),
            Elem::I8 => Values::I8(v.iter().map(|x| *x as i8).collect()),
            Elem::I32 => Values::I32(v.iter().map(|x| *x as i32).collect()),
            Elem::I64 => Values::I64(v.iter().map(|x| *x as i64).collect()),
            Elem::U8 => Values::U8(v.iter().map(|x| *x as u8).collect()),
            Elem::Bool => Values::Bool(v.iter().map(|x| *x != 0.0).collect()),
            _ => Values::F32(v.iter().map(|x| *x as f32).collect()),
        };
        Array {
            shape: self.shape.clone(),
            values,
        }
    }

    /// The entries `from..to` along `axis`.
    pub(crate) fn cut(&self, axis: usize, from: usize, to: usize) -> Self {
        let inner: usize = self.shape[axis + 1..].iter().product();
        let row = self.shape[axis] * inner;
        let parts = self.values.chunks(row.max(1));
        let values = parts
            .flat_map(|r| &r[from * inner..to * inner])
            .copied()
            .collect();
        let mut shape = self.shape.clone();
        shape[axis] = to - from;
        Self { shape, values }
    }

    /// Without `axis`, which has one entry.
    pub(crate) fn squeeze(mut self, axis: usize) -> Self {
        self.shape.remove(axis);
        self
    }

    /// With a new axis of one entry.
    pub(crate) fn unsqueeze(mut self, axis: usize) -> Self {
        self.shape.insert(axis, 1);
        self
    }

    /// Parts side by side along `axis`.
    pub(crate) fn join(parts: &[Self], axis: usize) -> Result<Self> {
        let Some(first) = parts.first() else {
            bail!("nothing to join");
        };
        let others = |s: &[usize]| [&s[..axis], &s[axis + 1..]].concat();
        if parts
            .iter()
            .any(|p| p.shape.len() <= axis || others(&p.shape) != others(&first.shape))
        {
            let shapes: Vec<_> = parts.iter().map(|p| &p.shape).collect();
            bail!("pieces of an output do not fit together: {shapes:?} along axis {axis}");
        }
        let mut shape = first.shape.clone();
        shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
        let outer: usize = shape[..axis].iter().product();
        let mut values = Vec::with_capacity(shape.iter().product());
        for i in 0..outer {
            for part in parts {
                let n: usize = part.shape[axis..].iter().product();
                values.extend_from_slice(&part.values[i * n..(i + 1) * n]);
            }
        }
        Ok(Self { shape, values })
    }

    /// Where the value at a flat index stands.
    pub(crate) fn index(&self, flat: usize) -> Vec<usize> {
        let mut rest = flat;
        let mut at: Vec<usize> = self
            .shape
            .iter()
            .rev()
            .map(|d| {
                let i = rest % d;
                rest /= d;
                i
            })
            .collect();
        at.reverse();
        at
    }

    /// Largest finite absolute value; 0 for none.
    pub(crate) fn largest(&self) -> f64 {
        let finite = self.values.iter().filter(|v| v.is_finite());
        finite.fold(0.0, |m, v| m.max(v.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_and_joining_are_inverse_on_every_axis() {
        let whole = Tensor {
            shape: vec![2, 5, 3],
            values: (0..30).map(f64::from).collect(),
        };
        for axis in 0..3 {
            let n = whole.shape[axis];
            for at in 0..=n {
                let parts = [whole.cut(axis, 0, at), whole.cut(axis, at, n)];
                assert_eq!(Tensor::join(&parts, axis).unwrap(), whole);
            }
        }
        assert_eq!(
            whole.cut(1, 2, 3).squeeze(1).values,
            [6.0, 7.0, 8.0, 21.0, 22.0, 23.0]
        );
        assert_eq!(whole.index(23), [1, 2, 2]);
    }
}
