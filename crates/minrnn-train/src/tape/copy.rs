//! Values copied, to another type if need be: what the planner itself adds between operations.

use minrnn_kernels::elementwise::{self, Map};

use super::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use super::cuda::{Machine, Result};
use super::host::Host;
use super::launch::{Kernel, Places, places};
use super::place::Place;

/// `y = x`, or `y += x`, each of its own type.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) x: Place,
    pub(super) y: Place,
    pub(super) add: bool,
}

impl Kernel for Copy {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn again(&self) -> bool {
        !self.add
    }
    fn host(&self, h: &mut Host) {
        let values = h.read(self.x);
        h.put(self.y, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        elementwise::cpu::map(Map::Copy, x, y, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, y) = (m.view(self.x)?, m.view(self.y)?);
        elementwise::cuda::map(&m.gpu, Map::Copy, x, y, self.add)
    }
}
