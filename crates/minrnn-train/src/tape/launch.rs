//! What a plan is made of: places in memory, and launches over them.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use minrnn_kernels::Elem;

use super::host::Host;

/// Where a [`Place`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// All parameters, f32, as [`Layout`](super::Layout) lays them out.
    Params,
    /// The parameters again, rounded to the compute type.
    Shadow,
    /// Gradients of all parameters, f32, laid out alike.
    Grads,
    /// What the optimizer remembers of all parameters, f32, laid out alike: a slot of its rule.
    Slot(usize),
    /// Scratch of the recurrences: zero once, kept valid by the kernels.
    Scan,
    /// Seed, step, numbers of the optimizer: written by the host before each step, `u32 [16]`.
    Control,
    /// Norm of the gradient and clip factor, f32 `[2]`.
    Report,
    /// What was not finite first, `u32 [4]`; 0: nothing.
    Latch,
    /// Token ids `[B,T]`.
    Ids,
    /// Features `[B,T,F]`.
    Features,
    /// Target classes.
    Targets,
    /// Target values.
    TargetValues,
    /// Weights of the targets.
    Weights,
    /// Lengths of the rows, `[B]`.
    Lens,
    /// Loss f32 `[1]`.
    Loss,
    /// Targets met, u32 `[1]`.
    Correct,
    /// A buffer of the plan.
    Buffer(usize),
}

/// Some elements in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub space: Space,
    /// First element.
    pub offset: usize,
    /// Elements.
    pub len: usize,
    /// Their type.
    pub elem: Elem,
}

impl Place {
    pub(super) fn new(space: Space, len: usize, elem: Elem) -> Self {
        Self {
            space,
            offset: 0,
            len,
            elem,
        }
    }
    pub(super) fn part(self, offset: usize, len: usize) -> Self {
        debug_assert!(offset + len <= self.len);
        Self {
            offset: self.offset + offset,
            len,
            ..self
        }
    }
}

/// A dropout: probability and site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mask {
    /// Probability of a zero, in (0, 1).
    pub(super) p: f64,
    /// Which dropout of the model.
    pub(super) site: u32,
}

/// The memory of a launch.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// What it reads.
    pub(super) reads: Vec<Place>,
    /// Its results.
    pub(super) writes: Vec<Place>,
    /// Scratch.
    pub(super) scratch: Vec<Place>,
}

/// `places!(reads => writes; scratch)`, each a list of [`Place`]s and `Option<Place>`s.
macro_rules! places {
    ($($read:expr),* => $($write:expr),* $(; $scratch:expr)?) => {
        $crate::tape::launch::Places {
            reads: $crate::tape::launch::present([$($read.into()),*]),
            writes: $crate::tape::launch::present([$($write.into()),*]),
            scratch: $crate::tape::launch::present([$($scratch.into())?]),
        }
    };
}
pub(super) use places;

pub(super) fn present<const N: usize>(places: [Option<Place>; N]) -> Vec<Place> {
    places.into_iter().flatten().collect()
}

/// One kernel with its arguments. In a launch's fields `d...` are gradients; `add` says whether a result is added to what is there.
pub(super) trait Kernel: Any + Debug + Send + Sync {
    /// Its name in a profile.
    fn title(&self) -> String {
        let all = format!("{self:?}");
        all.split([' ', '{']).next().unwrap_or_default().to_owned()
    }

    /// The memory that it reads and writes.
    fn places(&self) -> Places;

    /// The slow twin: what it means, in float64.
    fn host(&self, host: &mut Host);

    /// Puts it on the stream of a GPU.
    #[cfg(feature = "cuda")]
    fn cuda(&self, machine: &super::cuda::Machine) -> minrnn_kernels::cuda::Result<()>;

    /// Chooses its algorithm by time, where there are several; what it writes is lost.
    #[cfg(feature = "cuda")]
    fn tune(&self, _: &super::cuda::Machine) -> minrnn_kernels::cuda::Result<()> {
        Ok(())
    }
}

/// One thing to do.
#[derive(Clone)]
pub struct Launch(Arc<dyn Kernel>);

impl Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Launch {
    pub(super) fn new(kernel: impl Kernel) -> Self {
        Self(Arc::new(kernel))
    }

    pub(super) fn kernel(&self) -> &dyn Kernel {
        &*self.0
    }

    /// The kernel, if it is of this kind.
    #[cfg(test)]
    pub(super) fn of<K: Kernel>(&self) -> Option<&K> {
        let kernel: &dyn Any = &*self.0;
        kernel.downcast_ref()
    }

    /// Its name, a product's with its sizes.
    pub fn title(&self) -> String {
        self.0.title()
    }

    /// Every place that it reads or writes.
    pub fn places(&self) -> Vec<Place> {
        let Places {
            reads,
            writes,
            scratch,
        } = self.0.places();
        [reads, writes, scratch].concat()
    }

    /// The places that it writes, without scratch.
    pub fn writes(&self) -> Vec<Place> {
        self.0.places().writes
    }
}
