//! What a plan is made of: launches over places in memory.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use super::host::Host;
use super::place::Place;

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

    /// Whether it costs little more than to read and write its places, and gives the same bits each time that it runs over the same
    /// values: then it may run once more in the backward pass, so that its result need not be kept.
    fn again(&self) -> bool {
        false
    }

    /// The slow twin: what it means, in float64.
    fn host(&self, host: &mut Host);

    /// On the CPU, in f32.
    fn cpu(&self, machine: &mut super::cpu::Machine);

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
