//! What the parts of a step add up.

use std::sync::Arc;

use super::memory::Addresses;
use crate::tape::Plan;

/// Sums over the parts of a step, and the plan of the optimizer behind them.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) plan: Plan,
    pub(super) addresses: Arc<Addresses>,
    pub(super) grads: Vec<f32>,
    pub(super) loss: f32,
}

impl Sums {
    pub(super) fn bytes(&self) -> usize {
        self.grads.len() * size_of::<f32>()
    }

    pub(super) fn release(&mut self) {
        self.grads = vec![];
    }

    /// Takes in a part's loss and gradients.
    pub(super) fn add(&mut self, loss: f32, grads: &[f32], share: f64) {
        let share = share as f32;
        self.loss += share * loss;
        for (sum, grad) in self.grads.iter_mut().zip(grads) {
            *sum += share * grad;
        }
    }
}
