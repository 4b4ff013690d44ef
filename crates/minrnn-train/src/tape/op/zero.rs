//! Memory set to zeros.

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;

/// Sets all bytes to 0.
#[derive(Debug)]
pub(super) struct Zero {
    pub(super) to: Place,
}

impl Kernel for Zero {
    fn places(&self) -> Places {
        places!(=> self.to)
    }
    fn host(&self, h: &mut Host) {
        h.write(self.to, &vec![0.0; self.to.len]);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([], [to]) = m.memory.access([], [Some(self.to)]);
        to.fill(0.0);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        m.view(self.to)?.fill(&m.gpu, 0)
    }
}
