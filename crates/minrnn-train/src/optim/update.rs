//! One AdamW update of one tensor: a single pass over memory on the CPU, tensor operations elsewhere.
//!
//! With `g` the clipped gradient (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", algorithm 2):
//! ```text
//! m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//! w = (1 - lr decay) w - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//! ```

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var, bail};
use rayon::prelude::*;

use crate::error::Result;

/// Elements updated by one task.
const CHUNK: usize = 1 << 14;

/// The numbers of one step, worked out in float64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coefficients {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    /// Factor on the gradient from clipping.
    pub(super) clip: f64,
    /// `1 - lr * decay`.
    pub(super) keep: f64,
    /// `lr / (1 - beta1^t)`.
    pub(super) rate: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    pub(super) root: f64,
    pub(super) eps: f64,
}

/// Moments of one parameter, where they are worked on.
#[derive(Debug)]
pub(super) enum Moments {
    /// On the CPU, for the fused update.
    Host { first: Vec<f32>, second: Vec<f32> },
    /// On the parameter's device.
    Device { first: Tensor, second: Tensor },
}

/// Updates `var` and `moments` with `grad` (float32, finite).
pub(super) fn update(
    var: &Var,
    grad: &Tensor,
    moments: &mut Moments,
    c: Coefficients,
) -> Result<()> {
    match moments {
        Moments::Host { first, second } => {
            let op = Fused {
                moments: Mutex::new((first.as_mut_slice(), second.as_mut_slice())),
                c,
            };
            Ok(var.inplace_op2(&grad.contiguous()?, &op)?)
        }
        Moments::Device { first, second } => {
            let g = (grad * c.clip)?;
            *first = ((&*first * c.beta1)? + (&g * (1.0 - c.beta1))?)?;
            *second = ((&*second * c.beta2)? + (g.sqr()? * (1.0 - c.beta2))?)?;
            let denominator = ((second.sqrt()? * c.root)? + c.eps)?;
            let step = (&*first * c.rate)?.div(&denominator)?;
            Ok(var.set(&(var.as_tensor().detach() * c.keep)?.sub(&step)?)?)
        }
    }
}

/// The CPU pass. The lock only turns the shared reference that candle gives into a mutable one.
struct Fused<'a> {
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
    c: Coefficients,
}

impl InplaceOp2 for Fused<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(w), CpuStorage::F32(g)) = (weights, grad) else {
            bail!("adamw: parameter and gradient must be float32")
        };
        let (Some((w0, w1)), Some((g0, g1))) = (
            weights_layout.contiguous_offsets(),
            grad_layout.contiguous_offsets(),
        ) else {
            bail!("adamw: parameter and gradient must be contiguous")
        };
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let (m, v) = &mut *moments;
        let (w, g) = (&mut w[w0..w1], &g[g0..g1]);
        if w.len() != g.len() || w.len() != m.len() || w.len() != v.len() {
            bail!("adamw: parameter, gradient and moments differ in size")
        }
        let chunks = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
        let chunks = chunks
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK));
        chunks.for_each(|(((w, g), m), v)| pass(w, g, m, v, self.c));
        Ok(())
    }
}

/// The loop; all slices have one length.
fn pass(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: Coefficients) {
    let (beta1, beta2) = (c.beta1 as f32, c.beta2 as f32);
    let (fresh1, fresh2) = ((1.0 - c.beta1) as f32, (1.0 - c.beta2) as f32);
    let (clip, keep, rate) = (c.clip as f32, c.keep as f32, c.rate as f32);
    let (root, eps) = (c.root as f32, c.eps as f32);
    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * clip;
        *m = beta1 * *m + fresh1 * g;
        *v = beta2 * *v + fresh2 * (g * g);
        *w = keep * *w - rate * *m / (v.sqrt() * root + eps);
    }
}
