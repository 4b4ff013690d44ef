//! The mapping: one row for each tensor of ours, saying which of theirs it is made from and how. The table that people
//! see is the table that is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::{ImportProblem, Result};
use super::source::{Info, Source};
use crate::checkpoint::TensorData;

/// Where one tensor of ours comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Our name.
    pub name: String,
    /// Our shape.
    pub shape: Vec<usize>,
    /// Their names and shapes, in the order that `how` takes them; none for a constant.
    pub from: Vec<(String, Vec<usize>)>,
    /// What is done.
    pub how: How,
}

/// How a tensor of ours is made. Linear weights are `[N, K]` or `[N, K, 1]` on their side and `[K, N]` on ours.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum How {
    /// The same values.
    Copied,
    /// A linear weight, its N outputs cut into as many equal blocks as there are numbers, these put into this order. Where our
    /// K is larger, the further rows are 0.
    Transposed(Vec<usize>),
    /// A bias `[N]`, its blocks put into this order.
    Reordered(Vec<usize>),
    /// A depthwise kernel `[M, 1, k]` as `[k, M]`.
    Depthwise,
    /// `gamma + 1`.
    PlusOne,
    /// `g(p)`: the state that their learned vector p stands for.
    Activated,
    /// A linear weight, transposed, row k times the k-th value of the second tensor.
    Scaled,
    /// A linear weight behind a batch norm (weight, bias, mean, variance follow), transposed, in blocks: `W[n][k] * scale[k]`.
    Folded(Vec<usize>, f64),
    /// The bias of such a linear map: `bias[n] + sum W[n][k] * shift[k]`; the map's own bias, if any, comes last.
    FoldedBias(Vec<usize>, f64),
    /// 1 on the diagonal, 0 elsewhere.
    Identity,
    /// All 0.
    Zeros,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = |f: &mut fmt::Formatter<'_>, order: &[usize]| match order.len() {
            0 | 1 => Ok(()),
            _ => write!(f, ", blocks {order:?}"),
        };
        match self {
            Self::Copied => write!(f, "copied"),
            Self::Transposed(order) => write!(f, "transposed").and_then(|()| blocks(f, order)),
            Self::Reordered(order) => write!(f, "copied").and_then(|()| blocks(f, order)),
            Self::Depthwise => write!(f, "transposed"),
            Self::PlusOne => write!(f, "plus 1"),
            Self::Activated => write!(f, "g of it"),
            Self::Scaled => write!(f, "transposed, rows scaled"),
            Self::Folded(order, _) => {
                write!(f, "transposed, batch norm folded in").and_then(|()| blocks(f, order))
            }
            Self::FoldedBias(order, _) => {
                write!(f, "batch norm folded in").and_then(|()| blocks(f, order))
            }
            Self::Identity => write!(f, "identity"),
            Self::Zeros => write!(f, "zeros"),
        }
    }
}

/// The mapping of a whole model.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Tensors of theirs that their model never uses in evaluation.
    pub(super) unused: BTreeSet<String>,
}

impl Rows {
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        how: How,
        from: Vec<(String, Vec<usize>)>,
    ) {
        self.rows.push(Row {
            name: name.into(),
            shape: shape.to_vec(),
            from,
            how,
        });
    }

    /// Whether the file has exactly the tensors that the mapping takes, in their shapes.
    pub(super) fn check(
        &self,
        layout: &'static str,
        tensors: &BTreeMap<String, Info>,
    ) -> Result<()> {
        let wanted: BTreeMap<&str, &[usize]> = self
            .rows
            .iter()
            .flat_map(|row| &row.from)
            .map(|(name, shape)| (name.as_str(), shape.as_slice()))
            .collect();
        let missing: Vec<String> = wanted
            .keys()
            .filter(|n| !tensors.contains_key(**n))
            .map(|n| (*n).to_owned())
            .collect();
        let unexpected: Vec<String> = tensors
            .keys()
            .filter(|n| !wanted.contains_key(n.as_str()) && !self.unused.contains(*n))
            .cloned()
            .collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(ImportProblem::Names {
                layout,
                missing,
                unexpected,
            });
        }
        for (name, shape) in wanted {
            let found = &tensors[name].shape;
            if found != shape {
                return Err(ImportProblem::tensor(
                    name,
                    format!("has shape {found:?}, the rest of the model wants {shape:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Carries the mapping out, after [`Self::check`]; `names` gives the name in the file.
    pub(super) fn apply(
        &self,
        source: &Source,
        names: &BTreeMap<String, String>,
        tensors: &BTreeMap<String, Info>,
    ) -> Result<BTreeMap<String, TensorData>> {
        let read = |(name, _): &(String, Vec<usize>)| {
            let info = tensors
                .get(name)
                .ok_or_else(|| ImportProblem::tensor(name, "is missing"))?;
            source.values(names.get(name).unwrap_or(name), info)
        };
        let mut ours = BTreeMap::new();
        for row in &self.rows {
            let from: Vec<Vec<f32>> = row.from.iter().map(read).collect::<Result<_>>()?;
            let data = row.make(&from);
            if let Some(i) = data.iter().position(|v| !v.is_finite()) {
                let (name, _) = &row.from[0];
                return Err(ImportProblem::tensor(
                    name,
                    format!(
                        "gives {} at flat index {i} of `{}` ({})",
                        data[i], row.name, row.how
                    ),
                ));
            }
            let shape = row.shape.clone();
            ours.insert(row.name.clone(), TensorData { shape, data });
        }
        Ok(ours)
    }
}

impl Row {
    /// Our values from theirs, whose lengths are those of `self.from`.
    fn make(&self, from: &[Vec<f32>]) -> Vec<f32> {
        match (&self.how, from) {
            (How::Transposed(order), [w]) => {
                self.matrix(self.inputs(), order, |n, k, inputs| w[n * inputs + k])
            }
            (How::Scaled, [w, scale]) => self.matrix(self.inputs(), &[0], |n, k, inputs| {
                (f64::from(w[n * inputs + k]) * f64::from(scale[k])) as f32
            }),
            (How::Folded(order, eps), [w, norm @ ..]) => {
                let scale: Vec<f64> = (0..self.inputs())
                    .map(|k| affine(norm, k, *eps).0)
                    .collect();
                self.matrix(self.inputs(), order, |n, k, inputs| {
                    (f64::from(w[n * inputs + k]) * scale[k]) as f32
                })
            }
            (How::FoldedBias(order, eps), [w, norm @ ..]) => self.folded_bias(w, norm, order, *eps),
            (How::Reordered(order), [b]) => self.matrix(1, order, |n, _, _| b[n]),
            (How::Depthwise, [w]) => {
                let (k, m) = (self.shape[0], self.shape[1]);
                (0..k * m).map(|i| w[i % m * k + i / m]).collect()
            }
            (How::PlusOne, [g]) => g.iter().map(|v| (f64::from(*v) + 1.0) as f32).collect(),
            (How::Activated, [p]) => p.iter().map(|v| activated(f64::from(*v)) as f32).collect(),
            (How::Copied, [values]) => values.clone(),
            (How::Identity, []) => {
                let (k, n) = (self.shape[0], self.shape[1]);
                (0..k * n).map(|i| f32::from(i / n == i % n)).collect()
            }
            // Rows are made by the layouts only, each with the tensors that its `how` takes.
            _ => vec![0.0; self.shape.iter().product()],
        }
    }

    /// K on their side.
    fn inputs(&self) -> usize {
        self.from[0].1.get(1).copied().unwrap_or(1)
    }

    /// Ours `[K', N]`, N in blocks of `order`, from `value(n, k, K)` of theirs for k < K.
    fn matrix(
        &self,
        inputs: usize,
        order: &[usize],
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Vec<f32> {
        let outputs = self.shape.last().copied().unwrap_or(1);
        let block = outputs / order.len();
        let at = |i: usize| {
            let (k, n) = (i / outputs, i % outputs);
            let n = order[n / block] * block + n % block;
            if k < inputs { value(n, k, inputs) } else { 0.0 }
        };
        (0..self.shape.iter().product()).map(at).collect()
    }

    fn folded_bias(&self, w: &[f32], norm: &[Vec<f32>], order: &[usize], eps: f64) -> Vec<f32> {
        let inputs = self.inputs();
        let shift: Vec<f64> = (0..inputs).map(|k| affine(norm, k, eps).1).collect();
        let own = norm.get(4);
        self.matrix(1, order, |n, _, _| {
            let row = &w[n * inputs..(n + 1) * inputs];
            let sum: f64 = row.iter().zip(&shift).map(|(w, s)| f64::from(*w) * s).sum();
            (own.map_or(0.0, |b| f64::from(b[n])) + sum) as f32
        })
    }
}

/// Scale and shift of channel k of a batch norm: weight, bias, mean, variance.
fn affine(norm: &[Vec<f32>], k: usize, eps: f64) -> (f64, f64) {
    let [weight, bias, mean, variance] = [0, 1, 2, 3].map(|i| f64::from(norm[i][k]));
    let scale = weight / libm::sqrt(variance + eps);
    (scale, bias - mean * scale)
}

/// The paper's g (appendix B).
fn activated(p: f64) -> f64 {
    if p >= 0.0 {
        p + 0.5
    } else {
        libm::exp(p) / (1.0 + libm::exp(p))
    }
}
