//! What launches run in on the CPU.

use std::sync::Arc;

use minrnn_kernels::dropout::{Draw, cpu as dropout};
use minrnn_kernels::{Elem, product};

use super::memory::{Memory, Words};
use crate::optim::{Rule, squares};
use crate::tape::launch::Launch;
use crate::tape::place::Mask;
use crate::tape::{Layout, Place, Space};

/// Norm of the gradient before clipping, and the factor from clipping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// The norm.
    pub grad_norm: f64,
    /// The factor.
    pub clip: f64,
}

/// What was not finite; nothing is updated then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The loss.
    Loss,
    /// The gradient of a parameter.
    Gradient(usize),
    /// Its square in f32, after clipping: its second moment would be infinite.
    Square(usize),
}

/// Memory, and what a step is told and tells beside it.
#[derive(Debug)]
pub struct Machine {
    /// All values.
    pub memory: Memory,
    /// All numbers.
    pub(in crate::tape) words: Words,
    /// Sums of blocks, losses of rows: what a launch needs for itself alone.
    pub(in crate::tape) work: Vec<f32>,
    /// Packed matrices.
    pub(in crate::tape) packed: product::Scratch,
    constants: [Vec<f32>; 2],
    pub(in crate::tape) layout: Layout,
    pub(in crate::tape) rule: Arc<dyn Rule>,
    /// Seed and step of dropout.
    pub seed_and_step: (u64, u64),
    /// Learning rate and number of the update, from 1.
    pub rate: (f64, u64),
    /// Of the last update.
    pub report: Report,
    /// Of the last step.
    pub trouble: Option<Trouble>,
}

impl Machine {
    /// Memory for a layout and a rule.
    pub(super) fn new(layout: Layout, rule: Arc<dyn Rule>) -> Self {
        Self {
            memory: Memory::new(&layout, rule.room().slots),
            words: Words::default(),
            work: vec![],
            packed: product::Scratch::default(),
            constants: [vec![], vec![]],
            layout,
            rule,
            seed_and_step: (0, 0),
            rate: (0.0, 1),
            report: Report {
                grad_norm: 0.0,
                clip: 1.0,
            },
            trouble: None,
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let own = self.constants.iter().chain([&self.work]);
        let own: usize = own.map(|v| v.len() * size_of::<f32>()).sum();
        self.memory.bytes() + own + self.packed.bytes()
    }

    /// Gives back all but parameters and slots.
    pub(super) fn release(&mut self) {
        self.memory.release();
        self.work = vec![];
        self.packed = product::Scratch::default();
        self.constants = [vec![], vec![]];
    }

    /// Runs one launch.
    pub fn launch(&mut self, launch: &Launch) {
        launch.kernel().cpu(self);
    }

    /// A dropout as kernels take it.
    pub(in crate::tape) fn mask(&self, mask: Option<Mask>) -> Option<dropout::Mask> {
        let (seed, step) = self.seed_and_step;
        mask.map(|mask| {
            let draw = Draw {
                seed,
                step,
                site: mask.site as usize,
            };
            dropout::Mask::new(draw, mask.p)
        })
    }

    /// Makes so many zeros ([`Machine::zeros`]) and ones.
    pub(in crate::tape) fn prepare(&mut self, zeros: usize, ones: usize) {
        for ((values, len), value) in self.constants.iter_mut().zip([zeros, ones]).zip([0.0, 1.0]) {
            if values.len() < len {
                values.resize(len, value);
            }
        }
    }

    /// Everything apart, so that a launch can have several at once: memory, numbers, work, zeros, ones.
    pub(in crate::tape) fn parts(&mut self) -> Parts<'_> {
        let [zeros, ones] = &self.constants;
        Parts {
            memory: &mut self.memory,
            words: &mut self.words,
            work: &mut self.work,
            zeros,
            ones,
        }
    }

    /// Values moved in memory where a launch works in place but its plan does not.
    pub(in crate::tape) fn move_to(&mut self, from: Place, to: Place) {
        if from != to {
            let ([x], [y]) = self.memory.access([Some(from)], [Some(to)]);
            y.copy_from_slice(x);
        }
    }

    /// The sum of squares of each gradient, by position.
    pub(in crate::tape) fn squares(&self) -> Vec<(usize, f64)> {
        let trained = self.layout.trained.iter();
        let square = |i: &usize| {
            let place = self.layout.leaf(Space::Grads, *i);
            (*i, squares(self.memory.read(place)))
        };
        trained.map(square).collect()
    }

    /// The loss.
    pub(in crate::tape) fn loss(&self) -> f32 {
        self.memory.read(Place::new(Space::Loss, 1, Elem::F32))[0]
    }
}

/// See [`Machine::parts`].
pub(in crate::tape) struct Parts<'m> {
    pub(in crate::tape) memory: &'m mut Memory,
    pub(in crate::tape) words: &'m mut Words,
    pub(in crate::tape) work: &'m mut Vec<f32>,
    pub(in crate::tape) zeros: &'m [f32],
    pub(in crate::tape) ones: &'m [f32],
}
