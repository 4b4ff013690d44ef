//! AdamW: decoupled weight decay, bias correction.
//!
//! With `g` the clipped gradient (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", algorithm 2):
//! ```text
//! m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//! w = (1 - lr decay) w - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//! ```

use std::sync::Arc;

use candle_core::{Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::rule::{Kind, Leaf, Rule, Slot, Step, Work};
use crate::error::{Result, TrainError};
#[cfg(feature = "cuda")]
use crate::tape::{Run, Space, cuda::Machine};
#[cfg(feature = "cuda")]
use minrnn_kernels::cuda::View;

/// Elements updated by one task.
const CHUNK: usize = 1 << 14;

/// Running means of the gradient and of its square.
pub(super) const SLOTS: &[Slot] = &[
    Slot {
        name: "first",
        title: "first moment",
        positive: false,
    },
    Slot {
        name: "second",
        title: "second moment",
        positive: true,
    },
];

/// Options of AdamW; the learning rate is given at each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Memory of the mean gradient.
    pub beta1: f64,
    /// Memory of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of the weights, times the learning rate, for parameters that decay.
    pub weight_decay: f64,
    /// The gradient of all parameters together is scaled down to this norm where it is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            clip_norm: None,
        }
    }
}

impl AdamWConfig {
    /// The rule with these numbers.
    ///
    /// # Errors
    /// As [`AdamWConfig::validate`].
    pub fn rule(&self) -> Result<Arc<dyn Rule>> {
        self.validate()?;
        Ok(Arc::new(self.clone()))
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        // The kernels take all of them as float32.
        let normal = |x: f64| x > 0.0 && (x as f32).is_normal();
        let memory = |x: f64| x >= 0.0 && (x as f32) < 1.0;
        let checks = [
            (
                "beta1",
                self.beta1,
                memory(self.beta1),
                "0 or more and less than 1, as a float32",
            ),
            (
                "beta2",
                self.beta2,
                memory(self.beta2),
                "0 or more and less than 1, as a float32",
            ),
            // Smaller ones are 0 in float32, and 0 / 0 follows for a parameter without gradient.
            ("eps", self.eps, normal(self.eps), "a positive float32"),
            (
                "weight_decay",
                self.weight_decay,
                self.weight_decay >= 0.0 && (self.weight_decay as f32).is_finite(),
                "0 or more, as a float32",
            ),
            (
                "clip_norm",
                self.clip_norm.unwrap_or(1.0),
                self.clip_norm.is_none_or(normal),
                "a positive float32",
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

/// The numbers of one step, worked out in float64.
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    beta1: f64,
    beta2: f64,
    /// Factor on the gradient from clipping.
    clip: f64,
    /// `1 - lr * decay`.
    keep: f64,
    /// `lr / (1 - beta1^t)`.
    rate: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    root: f64,
    eps: f64,
}

impl AdamWConfig {
    fn coefficients(&self, step: Step, decay: bool) -> Coefficients {
        let decay = if decay { self.weight_decay } else { 0.0 };
        Coefficients {
            beta1: self.beta1,
            beta2: self.beta2,
            clip: step.clip,
            keep: 1.0 - step.lr * decay,
            rate: step.lr / (1.0 - power(self.beta1, step.number)),
            root: 1.0 / (1.0 - power(self.beta2, step.number)).sqrt(),
            eps: self.eps,
        }
    }
}

impl Rule for AdamWConfig {
    fn slots(&self, _: Kind) -> &'static [Slot] {
        SLOTS
    }

    fn clip_norm(&self) -> Option<f64> {
        self.clip_norm
    }

    fn twin(&self, step: Step, leaf: Leaf<'_, f64>) {
        let [m, v] = pair(leaf.slots);
        let one = 1.0 - power(self.beta1, step.number);
        let two = 1.0 - power(self.beta2, step.number);
        let decay = if leaf.kind.decay {
            self.weight_decay
        } else {
            0.0
        };
        for (i, w) in leaf.values.iter_mut().enumerate() {
            let g = leaf.grad[i] * step.clip;
            m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
            v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g * g;
            let root = (v[i] / two).sqrt() + self.eps;
            *w = (1.0 - step.lr * decay) * *w - step.lr / one * m[i] / root;
        }
    }

    fn update(&self, step: Step, leaf: Leaf<'_, f32>, _: &mut Work<'_>) {
        let c = self.coefficients(step, leaf.kind.decay);
        let [m, v] = pair(leaf.slots);
        let chunks = leaf
            .values
            .par_chunks_mut(CHUNK)
            .zip(leaf.grad.par_chunks(CHUNK));
        let chunks = chunks
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK));
        chunks.for_each(|(((w, g), m), v)| pass(w, g, m, v, c));
    }

    fn update_tensors(
        &self,
        step: Step,
        kind: Kind,
        var: &Var,
        grad: &Tensor,
        slots: &mut [Tensor],
    ) -> Result<()> {
        let c = self.coefficients(step, kind.decay);
        let [first, second] = pair(slots);
        // candle's gradients remember what they were made of: a slot that did would keep every step's activations.
        let g = (grad.detach() * c.clip)?;
        *first = ((&*first * c.beta1)? + (&g * (1.0 - c.beta1))?)?;
        *second = ((&*second * c.beta2)? + (g.sqr()? * (1.0 - c.beta2))?)?;
        let denominator = ((second.sqrt()? * c.root)? + c.eps)?;
        let step = (&*first * c.rate)?.div(&denominator)?;
        Ok(var.set(&(var.as_tensor().detach() * c.keep)?.sub(&step)?)?)
    }

    fn control(&self, number: u64, lr: f64) -> Vec<f32> {
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf(number as f64));
        [lr, correction(self.beta1), correction(self.beta2)]
            .map(|x| x as f32)
            .to_vec()
    }

    #[cfg(feature = "cuda")]
    fn update_cuda(&self, m: &Machine, _: Option<View<'_>>) -> minrnn_kernels::cuda::Result<()> {
        let mut runs = m.store.layout().runs(|_| true).into_iter();
        runs.try_for_each(|run| self.update_run(m, run))
    }
}

#[cfg(feature = "cuda")]
impl AdamWConfig {
    /// All parameters of a run at once.
    pub(super) fn update_run(&self, m: &Machine, run: Run) -> minrnn_kernels::cuda::Result<()> {
        let flat = |space| m.store.view(space)?.slice(run.from, run.len);
        let shadow = m.store.has_shadow();
        let update = minrnn_kernels::adamw::cuda::Update {
            params: flat(Space::Params)?,
            grads: flat(Space::Grads)?,
            first: flat(Space::Slot(0))?,
            second: flat(Space::Slot(1))?,
            shadow: shadow.then(|| flat(Space::Shadow)).transpose()?,
            decayed: run.decayed,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            report: m.store.view(Space::Report)?,
            latch: m.store.view(Space::Latch)?,
            control: m.store.view(Space::Control)?,
        };
        minrnn_kernels::adamw::cuda::update(&m.gpu, &update)
    }
}

/// Both slots.
fn pair<T>(slots: impl IntoIterator<Item = T>) -> [T; 2] {
    let mut slots = slots.into_iter();
    [(); 2].map(|()| slots.next().expect("a rule gets as many slots as it has"))
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

/// `base^exponent` by repeated squaring: the same bits on every machine, as a resumed run needs.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library() {
        for (base, exponent) in [
            (0.9, 1),
            (0.999, 1000),
            (0.0, 3),
            (0.5, 0),
            (0.999, 100_000),
        ] {
            let wanted = f64::powf(base, exponent as f64);
            assert!((power(base, exponent) - wanted).abs() <= 1e-12 * wanted);
        }
        assert_eq!(power(0.999, u64::MAX), 0.0);
    }
}
