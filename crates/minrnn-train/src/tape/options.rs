//! For which run a plan is, and where.

use minrnn_kernels::Elem;

use crate::optim::Room;

/// What a model is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Nothing: the output alone.
    None,
    /// Class numbers: cross-entropy.
    Classes,
    /// Values: mean squared error.
    Values,
    /// Zeros: mean of the squares.
    Zeros,
}

/// Where the states of a run begin, and whether the next run goes on from its last ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carry {
    /// They begin as the graph says; nobody reads the last ones.
    #[default]
    None,
    /// They begin as the graph says; the last ones are kept.
    Begin,
    /// They begin with those that the run before kept, through which no gradient goes; the last ones are kept.
    On,
}

/// Which values the backward pass of a step computes again, instead of finding them kept: the memory of a value is free in between. Loss and
/// gradients have the same bits either way. Only what costs little is ever computed again: elementwise functions, convolutions of a few taps,
/// products with a few rows of a matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recompute {
    /// Where a step would take more than 4 GiB: values by which it takes less, while the memory is worth the time.
    #[default]
    Large,
    /// Every value that can be, for tests.
    All,
    /// None.
    Nothing,
}

/// For which run a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Options {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// Compute type of activations: F32, Bf16 or F16.
    pub compute: Elem,
    /// Whether there is a backward pass with dropout.
    pub train: bool,
    /// Of the optimizer that runs behind it, what memory its rule has.
    pub update: Option<Room>,
    /// Whether the gradient of features is wanted too.
    pub input_gradient: bool,
    /// What the output is compared with.
    pub target: Target,
    /// Whether targets have weights.
    pub weights: bool,
    /// Whether rows have lengths.
    pub lens: bool,
    /// Where states begin.
    pub carry: Carry,
    /// What is computed again.
    pub recompute: Recompute,
}

/// Where a plan will run, which says how much scratch its kernels need.
pub trait Scratch {
    /// The GPU, if it is one.
    #[cfg(feature = "cuda")]
    fn gpu(&self) -> Option<&minrnn_kernels::cuda::Gpu>;
}

/// In host memory: the slow twins need no scratch.
#[derive(Debug, Clone, Copy)]
pub struct NoScratch;

impl Scratch for NoScratch {
    #[cfg(feature = "cuda")]
    fn gpu(&self) -> Option<&minrnn_kernels::cuda::Gpu> {
        None
    }
}
