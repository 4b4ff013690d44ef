//! How a file is opened.

use crate::kernels::Kernels;
use crate::weights::Weights;

/// Who computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The executor of this crate: the recurrence and every product in one fixed order, so that `parallel`, `scan` and `step`
    /// agree bit for bit, in any chunks and any batch, on any CPU. A graph that it does not know runs portably:
    /// [`Model::execution`] says so.
    Exact,
    /// tract, and the graph untouched: what another engine would make of the file.
    Portable,
    /// The measure of [`Execution::Exact`], which must equal it bit for bit (-0 equals +0): tract runs the graph node by
    /// node, without its rewrites, with the recurrence, the products, the sums and the exponentials as plain loops in
    /// the order that the crate's documentation defines. Slow: for proofs.
    Referee,
}

/// How a file is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Who computes. Default: [`Execution::Exact`].
    pub execution: Execution,
    /// Threads of one call, at least 1. Sequences use them by chunks of time and rows, steps by rows, where there are enough.
    /// Default: as many as the machine has. Results do not depend on it. Exact execution only.
    pub threads: usize,
    /// Portable execution, and the referee's: how many plans are kept, one for each batch and length in use, each with its own packed copy of
    /// the weights. Default 8, at least 1; the plan not used for longest goes first.
    pub plans: usize,
    /// Bytes that the tensors of a short call (8 rows times steps) may take at once beyond 8 for each byte of the file, and
    /// that the states of one row may take; longer calls in proportion. A file that asks for more is refused before anything is
    /// run. Default 1 GiB: windows of attention and filters of Hyena are larger than the weights that fill them. For files of
    /// strangers set less.
    pub memory: u64,
    /// Where packed weights are held, to share them between models. Default: of this model alone. Exact execution only.
    pub weights: Weights,
    /// The instructions to use. Default: the best that the machine has. Results do not depend on it. Exact execution only.
    pub kernels: Kernels,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            execution: Execution::Exact,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            plans: 8,
            memory: 1 << 30,
            weights: Weights::default(),
            kernels: Kernels::Best,
        }
    }
}

impl Options {
    /// Portable execution with room for `plans` plans.
    pub fn with_plans(plans: usize) -> Self {
        Self {
            execution: Execution::Portable,
            plans,
            ..Self::default()
        }
    }

    /// The referee.
    pub fn referee() -> Self {
        Self {
            execution: Execution::Referee,
            ..Self::default()
        }
    }

    /// Exact execution on `threads` threads.
    pub fn with_threads(threads: usize) -> Self {
        Self {
            threads,
            ..Self::default()
        }
    }
}
