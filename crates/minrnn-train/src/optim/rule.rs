//! What the loop, checkpoints and the tape know of an optimizer: its rule.
//!
//! A new one is a file here with its configuration, an `impl Rule` and a kernel, and a line where the configuration is read.

use candle_core::{Tensor, Var};
use minrnn_kernels::product;
use minrnn_model::graph::Graph;
use minrnn_model::params::Role;

use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::tape::cuda::Machine;
#[cfg(feature = "cuda")]
use minrnn_kernels::cuda::View;

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

/// What a rule may tell parameters apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kind {
    /// Whether weight decay applies (matrices, usually; not biases, gains and initial states).
    pub decay: bool,
    /// Whether it is the matrix of a hidden layer ([`Graph::hidden_matrices`]).
    pub hidden: bool,
}

impl Kind {
    /// Of every parameter of a graph, in its order.
    pub fn of(graph: &Graph) -> Vec<Self> {
        let specs = graph.params().iter().zip(graph.hidden_matrices());
        let kind = specs.map(|(spec, hidden)| Self {
            decay: matches!(spec.role, Role::Weight { decay: true, .. }),
            hidden,
        });
        kind.collect()
    }
}

/// Memory that a rule has in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room {
    /// The most slots that a parameter has.
    pub slots: usize,
    /// Whether the matrices of hidden layers have memory to work in.
    pub matrices: bool,
}

/// Memory that updates on the CPU may use and grow; what it holds between them means nothing.
#[derive(Debug)]
pub struct Work<'a> {
    /// Of products.
    pub packed: &'a mut product::Scratch,
    /// For anything.
    pub values: &'a mut Vec<f32>,
}

/// One parameter at an update. All slices have one length, the product of `shape`.
#[derive(Debug)]
pub struct Leaf<'a, T> {
    /// Sizes of its dimensions.
    pub shape: &'a [usize],
    /// What kind of parameter it is.
    pub kind: Kind,
    /// Its values.
    pub values: &'a mut [T],
    /// Its gradient, finite, before clipping.
    pub grad: &'a [T],
    /// What the rule remembers of it.
    pub slots: Vec<&'a mut [T]>,
}

/// How gradients become updates. The ways in which one rule is computed mean the same; [`Rule::twin`] says what.
pub trait Rule: std::fmt::Debug + Send + Sync {
    /// What it remembers of a parameter.
    fn slots(&self, kind: Kind) -> &'static [Slot];

    /// Whether it needs memory to work in for the matrices of hidden layers.
    fn has_matrices(&self) -> bool {
        false
    }

    /// What memory it has.
    fn room(&self) -> Room {
        let kinds = [false, true].map(|hidden| Kind {
            hidden,
            ..Kind::default()
        });
        Room {
            slots: kinds
                .map(|k| self.slots(k).len())
                .into_iter()
                .fold(0, usize::max),
            matrices: self.has_matrices(),
        }
    }

    /// The gradient of all parameters together is scaled down to this norm where it is longer.
    fn clip_norm(&self) -> Option<f64>;

    /// The definition, in float64.
    fn twin(&self, step: Step, leaf: Leaf<'_, f64>);

    /// In memory on the CPU: the same bits with any number of threads.
    fn update(&self, step: Step, leaf: Leaf<'_, f32>, work: &mut Work<'_>);

    /// In tensor operations, on any device. `slots` are as long as [`Rule::slots`].
    ///
    /// # Errors
    /// Those of the device.
    fn update_tensors(
        &self,
        step: Step,
        kind: Kind,
        var: &Var,
        grad: &Tensor,
        slots: &mut [Tensor],
    ) -> Result<()>;

    /// The numbers of a step that [`Rule::update_cuda`] reads from the control block, at most 12.
    fn control(&self, number: u64, lr: f64) -> Vec<f32>;

    /// On a GPU, all parameters at once, on the tape's stream. `scratch` is there where [`Rule::has_matrices`].
    ///
    /// # Errors
    /// Those of the launches.
    #[cfg(feature = "cuda")]
    fn update_cuda(
        &self,
        machine: &Machine,
        scratch: Option<View<'_>>,
    ) -> minrnn_kernels::cuda::Result<()>;
}
