//! The learned beginning of a state: one row for each sequence.

use minrnn_kernels::Elem;
use minrnn_model::graph::{State, StateInit};

use super::column_sum::column_sum;
use super::keep::rows;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::options::Carry;
use crate::tape::place::{Place, Space};
use crate::tape::planner::{First, Planner};

/// Every row becomes `p`.
#[derive(Debug)]
struct Repeat {
    p: Place,
    y: Place,
    rows: usize,
}

/// The beginning of a state `[B, len]`: where it is carried on, what the run before kept; else nothing for zeros, or the learned vector
/// for each row.
pub(super) fn first(p: &mut Planner<'_>, state: State) -> First {
    if p.options.carry == Carry::On {
        return Some((rows(p, Space::Carried, state), None));
    }
    let spec = p.graph.state_spec(state);
    let StateInit::Learned(param) = spec.init else {
        return None;
    };
    let rows = p.options.batch;
    let y = p.buffer(rows * spec.len(), Elem::F32);
    p.launch(Repeat {
        p: p.param(param),
        y,
        rows,
    });
    Some((y, Some(param)))
}

/// The gradient of a beginning from that of its rows.
pub(super) fn back_first(p: &mut Planner<'_>, begin: First, grad: Option<Place>) {
    if let (Some((_, Some(param))), Some(grad)) = (begin, grad) {
        let rows = p.options.batch;
        column_sum(p, grad, param, 0, rows, grad.len / rows);
    }
}

impl Kernel for Repeat {
    fn places(&self) -> Places {
        places!(self.p => self.y)
    }
    fn host(&self, h: &mut Host) {
        let values = h.read(self.p).repeat(self.rows);
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([p], [y]) = m.memory.access([Some(self.p)], [Some(self.y)]);
        minrnn_kernels::elementwise::cpu::repeat(p, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (p, y) = (m.view(self.p)?, m.view(self.y)?);
        minrnn_kernels::elementwise::cuda::repeat(&m.gpu, p, y, self.rows)
    }
}
