//! Muon for the matrices of hidden layers, AdamW for everything else.
//!
//! With `g` the clipped gradient of a matrix of `r` rows and `c` columns (Jordan et al., "Muon: An optimizer for hidden layers in
//! neural networks", 2024; the factor of the shape, by which steps are as long as AdamW's and may have its learning rate and
//! decay, is that of Liu et al., "Muon is Scalable for LLM Training", 2025, equation 4):
//! ```text
//! m = m + (1 - b) (g - m)      u = g + b (m - g)
//! w = (1 - lr decay) w - lr 0.2 sqrt(max(r, c)) O(u)
//! ```
//! `O` is five Newton-Schulz iterations, [`minrnn_kernels::muon`]: nearly the orthogonal matrix next to `u`.

use candle_core::{Tensor, Var};
use minrnn_kernels::muon;
#[cfg(feature = "cuda")]
use minrnn_kernels::{cuda::Precision, cuda::View};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::adamw::{self, AdamWConfig};
use super::norm::squares;
use super::rule::{Kind, Leaf, Rule, Slot, Step, Work};
use crate::error::{Result, TrainError};
#[cfg(feature = "cuda")]
use crate::tape::{Space, cuda::Machine};

/// Elements updated by one task.
const CHUNK: usize = 1 << 14;

/// What a matrix of a hidden layer has in the place of AdamW's moments.
pub(super) const SLOTS: &[Slot] = &[Slot {
    name: "momentum",
    title: "momentum",
    positive: false,
}];

/// Options of Muon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonConfig {
    /// Highest learning rate of the matrices; `None`: that of all. It rises and falls with that of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Decay of the matrices, times their learning rate; `None`: that of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Memory of the mean gradient.
    pub momentum: f64,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            lr: None,
            weight_decay: None,
            momentum: 0.95,
        }
    }
}

impl MuonConfig {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let lr = self.lr.unwrap_or(1.0);
        let decay = self.weight_decay.unwrap_or(0.0);
        let checks = [
            (
                "muon.lr",
                lr,
                lr > 0.0 && (lr as f32).is_normal(),
                "a positive float32",
            ),
            (
                "muon.weight_decay",
                decay,
                decay >= 0.0 && (decay as f32).is_finite(),
                "0 or more, as a float32",
            ),
            (
                "muon.momentum",
                self.momentum,
                self.momentum >= 0.0 && (self.momentum as f32) < 1.0,
                "0 or more and less than 1, as a float32",
            ),
        ];
        match checks.iter().find(|(_, _, ok, _)| !ok) {
            Some((field, found, _, wanted)) => Err(TrainError::config(
                *field,
                format!("is {found}, expected {wanted}"),
            )),
            None => Ok(()),
        }
    }
}

/// The rule.
#[derive(Debug, Clone)]
pub(super) struct Muon {
    rest: AdamWConfig,
    /// Learning rate of the matrices in terms of that of a step.
    factor: f64,
    weight_decay: f64,
    momentum: f64,
}

/// The numbers of one step for a matrix, worked out in float64.
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    clip: f64,
    momentum: f64,
    /// `1 - lr * decay`.
    keep: f64,
    /// `lr * 0.2 sqrt(max(r, c))`.
    rate: f64,
}

impl Muon {
    /// With `lr` as the highest learning rate of steps.
    pub(super) fn new(rest: AdamWConfig, config: &MuonConfig, lr: f64) -> Self {
        Self {
            factor: config.lr.map_or(1.0, |own| own / lr),
            weight_decay: config.weight_decay.unwrap_or(rest.weight_decay),
            momentum: config.momentum,
            rest,
        }
    }

    fn decay(&self, kind: Kind) -> f64 {
        if kind.decay { self.weight_decay } else { 0.0 }
    }

    fn coefficients(&self, step: Step, kind: Kind, size: [usize; 2]) -> Coefficients {
        let lr = step.lr * self.factor;
        Coefficients {
            clip: step.clip,
            momentum: self.momentum,
            keep: 1.0 - lr * self.decay(kind),
            rate: lr * scale(size),
        }
    }
}

/// The factor of a shape.
fn scale([rows, cols]: [usize; 2]) -> f64 {
    0.2 * (rows.max(cols) as f64).sqrt()
}

/// Rows and columns.
fn size(shape: &[usize]) -> [usize; 2] {
    let Ok(size) = shape.try_into() else {
        unreachable!("a hidden matrix of shape {shape:?}")
    };
    size
}

impl Rule for Muon {
    fn slots(&self, kind: Kind) -> &'static [Slot] {
        if kind.hidden { SLOTS } else { adamw::SLOTS }
    }

    fn has_matrices(&self) -> bool {
        true
    }

    fn clip_norm(&self) -> Option<f64> {
        self.rest.clip_norm
    }

    fn twin(&self, step: Step, leaf: Leaf<'_, f64>) {
        if !leaf.kind.hidden {
            return self.rest.twin(step, leaf);
        }
        let size = size(leaf.shape);
        let c = self.coefficients(step, leaf.kind, size);
        let m = one(leaf.slots);
        let mut u = vec![0.0; m.len()];
        for ((m, g), u) in m.iter_mut().zip(leaf.grad).zip(&mut u) {
            let g = g * c.clip;
            *m += (1.0 - c.momentum) * (g - *m);
            *u = g + c.momentum * (*m - g);
        }
        let x = muon::slow::orthogonal(&u, size);
        let pairs = leaf.values.iter_mut().zip(&x);
        pairs.for_each(|(w, x)| *w = c.keep * *w - c.rate * x);
    }

    fn update(&self, step: Step, leaf: Leaf<'_, f32>, work: &mut Work<'_>) {
        if !leaf.kind.hidden {
            return self.rest.update(step, leaf, work);
        }
        let size = size(leaf.shape);
        let c = self.coefficients(step, leaf.kind, size);
        let (m, len) = (one(leaf.slots), leaf.grad.len());
        let needed = len + muon::cpu::work_len(size);
        if work.values.len() < needed {
            work.values.resize(needed, 0.0);
        }
        let (u, beside) = work.values[..needed].split_at_mut(len);
        let parts = u.par_chunks_mut(CHUNK).zip(leaf.grad.par_chunks(CHUNK));
        let parts = parts.zip(m.par_chunks_mut(CHUNK));
        parts.for_each(|((u, g), m)| momentum(u, g, m, c));
        let norm = squares(u).sqrt();
        muon::cpu::orthogonalise(work.packed, beside, u, size, norm);
        let (keep, rate) = (c.keep as f32, c.rate as f32);
        let parts = leaf.values.par_chunks_mut(CHUNK).zip(u.par_chunks(CHUNK));
        parts.for_each(|(w, x)| {
            let pairs = w.iter_mut().zip(x);
            pairs.for_each(|(w, x)| *w = keep * *w - rate * x);
        });
    }

    fn update_tensors(
        &self,
        step: Step,
        kind: Kind,
        var: &Var,
        grad: &Tensor,
        slots: &mut [Tensor],
    ) -> Result<()> {
        if !kind.hidden {
            return self.rest.update_tensors(step, kind, var, grad, slots);
        }
        let size = size(var.dims());
        let c = self.coefficients(step, kind, size);
        let m = one(slots);
        // As for AdamW: no slot remembers what it was made of.
        let g = (grad.detach() * c.clip)?;
        *m = (&*m + ((&g - &*m)? * (1.0 - c.momentum))?)?;
        let u = (&g + ((&*m - &g)? * c.momentum)?)?;
        let x = orthogonal(&u, size)?;
        let kept = (var.as_tensor().detach() * c.keep)?;
        Ok(var.set(&kept.sub(&(x * c.rate)?)?)?)
    }

    fn control(&self, number: u64, lr: f64) -> Vec<f32> {
        let mut all = self.rest.control(number, lr);
        all.push((lr * self.factor) as f32);
        all
    }

    #[cfg(feature = "cuda")]
    fn update_cuda(
        &self,
        m: &Machine,
        scratch: Option<View<'_>>,
    ) -> minrnn_kernels::cuda::Result<()> {
        let layout = m.store.layout();
        for run in layout.runs(|kind| !kind.hidden) {
            self.rest.update_run(m, run)?;
        }
        let Some(scratch) = scratch else {
            let problem = "the plan has no memory for matrices of hidden layers".to_owned();
            return Err(minrnn_kernels::cuda::CudaError::Value {
                op: "muon",
                problem,
            });
        };
        for (size, of) in layout.hidden_groups() {
            let matrix = |i: &usize| {
                let leaf = |space| m.view(layout.leaf(space, *i));
                let shadow = m.store.has_shadow().then(|| {
                    let all = m.store.view(Space::Shadow)?;
                    all.slice(layout.offsets[*i], layout.lens[*i])
                });
                Ok(muon::cuda::Matrix {
                    params: leaf(Space::Params)?,
                    grads: leaf(Space::Grads)?,
                    momentum: leaf(Space::Slot(0))?,
                    shadow: shadow.transpose()?,
                    weight_decay: self.decay(layout.kinds[*i]),
                })
            };
            let matrices: Vec<_> = of
                .iter()
                .map(matrix)
                .collect::<minrnn_kernels::cuda::Result<_>>()?;
            let update = muon::cuda::Update {
                size,
                matrices: &matrices,
                momentum: self.momentum,
                scale: scale(size),
                // Published in bfloat16: the precision of TF32 is more than enough where a step's products have no more.
                precision: match m.store.has_shadow() {
                    true => Precision::Tf32,
                    false => m.precision,
                },
                scratch,
                report: m.store.view(Space::Report)?,
                latch: m.store.view(Space::Latch)?,
                control: m.store.view(Space::Control)?,
            };
            muon::cuda::update(&m.gpu, &update)?;
        }
        Ok(())
    }
}

/// The only slot.
fn one<T>(slots: impl IntoIterator<Item = T>) -> T {
    let slot = slots.into_iter().next();
    slot.expect("a rule gets as many slots as it has")
}

/// The momentum, and what is made of it and the gradient; all slices have one length.
fn momentum(u: &mut [f32], g: &[f32], m: &mut [f32], c: Coefficients) {
    let (clip, beta, fresh) = (c.clip as f32, c.momentum as f32, (1.0 - c.momentum) as f32);
    for ((u, g), m) in u.iter_mut().zip(g).zip(m) {
        let g = g * clip;
        *m += fresh * (g - *m);
        *u = g + beta * (*m - g);
    }
}

/// [`minrnn_kernels::muon`] in tensor operations.
fn orthogonal(u: &Tensor, [rows, cols]: [usize; 2]) -> Result<Tensor> {
    let [a, b, c] = muon::COEFFICIENTS;
    let norm = u.sqr()?.sum_all()?.sqrt()?.maximum(muon::EPS)?;
    let mut x = u.broadcast_div(&norm)?;
    let wide = rows <= cols;
    for _ in 0..muon::ITERATIONS {
        let gram = match wide {
            true => x.matmul(&x.t()?)?,
            false => x.t()?.matmul(&x)?,
        };
        let square = gram.matmul(&gram)?;
        let rest = ((gram * b)? + (square * c)?)?;
        let rest = match wide {
            true => rest.matmul(&x)?,
            false => x.matmul(&rest)?,
        };
        x = ((x * a)? + rest)?;
    }
    Ok(x)
}

#[cfg(test)]
#[path = "muon_tests.rs"]
mod tests;
