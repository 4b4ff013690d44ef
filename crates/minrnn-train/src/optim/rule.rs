//! What the loop, checkpoints and the tape know of an optimizer: its rule.
//!
//! A new one is a file here with its configuration, an `impl Rule` and a kernel, and a line where the configuration is read.

use candle_core::{Tensor, Var};

use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::tape::cuda::Machine;

/// What a rule remembers of each parameter: f32, of the parameter's shape, zeros at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its name in checkpoints: `{name}.{parameter}`.
    pub name: &'static str,
    /// What it is, in messages.
    pub title: &'static str,
    /// Whether it is never negative.
    pub positive: bool,
}

/// One update of all parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// Learning rate.
    pub lr: f64,
    /// Factor on the gradient from clipping.
    pub clip: f64,
}

/// One parameter at an update. All slices have one length, the product of `shape`.
#[derive(Debug)]
pub struct Leaf<'a, T> {
    /// Sizes of its dimensions.
    pub shape: &'a [usize],
    /// Whether weight decay applies.
    pub decay: bool,
    /// Its values.
    pub values: &'a mut [T],
    /// Its gradient, finite, before clipping.
    pub grad: &'a [T],
    /// What the rule remembers of it.
    pub slots: Vec<&'a mut [T]>,
}

/// How gradients become updates. The ways in which one rule is computed mean the same; [`Rule::twin`] says what.
pub trait Rule: std::fmt::Debug + Send + Sync {
    /// What it remembers.
    fn slots(&self) -> &'static [Slot];

    /// The gradient of all parameters together is scaled down to this norm where it is longer.
    fn clip_norm(&self) -> Option<f64>;

    /// The definition, in float64.
    fn twin(&self, step: Step, leaf: Leaf<'_, f64>);

    /// One pass over memory on the CPU: the same bits with any number of threads.
    fn update(&self, step: Step, leaf: Leaf<'_, f32>);

    /// In tensor operations, on any device. `slots` are as long as [`Rule::slots`].
    ///
    /// # Errors
    /// Those of the device.
    fn update_tensors(
        &self,
        step: Step,
        decay: bool,
        var: &Var,
        grad: &Tensor,
        slots: &mut [Tensor],
    ) -> Result<()>;

    /// The numbers of a step that [`Rule::update_cuda`] reads from the control block, at most 12.
    fn control(&self, number: u64, lr: f64) -> Vec<f32>;

    /// On a GPU, all parameters at once, on the tape's stream: of the first `len` elements of the flat buffers the first
    /// `decayed` have weight decay.
    ///
    /// # Errors
    /// Those of the launches.
    #[cfg(feature = "cuda")]
    fn update_cuda(
        &self,
        machine: &Machine,
        len: usize,
        decayed: usize,
    ) -> minrnn_kernels::cuda::Result<()>;
}
