//! The beginning of a state, where it is not zeros: one row for each sequence.

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

/// Every element becomes a number.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) y: Place,
    pub(super) value: f32,
}

/// The beginning of a state `[B, len]`: where it is carried on, what the run before kept; else nothing for zeros, the constant, or the
/// learned vector for each row.
pub(super) fn first(p: &mut Planner<'_>, state: State) -> First {
    if p.options.carry == Carry::On {
        return Some((rows(p, Space::Carried, state), None));
    }
    let spec = p.graph.state_spec(state);
    let (rows, len) = (p.options.batch, spec.len());
    match spec.init {
        StateInit::Zero => None,
        StateInit::Constant(value) => {
            let y = p.buffer(rows * len, Elem::F32);
            p.launch(Fill { y, value });
            Some((y, None))
        }
        StateInit::Learned(param) => {
            let y = p.buffer(rows * len, Elem::F32);
            p.launch(Repeat {
                p: p.param(param),
                y,
                rows,
            });
            Some((y, Some(param)))
        }
    }
}

/// A beginning that is learned, which wants a gradient.
pub(super) fn learned(begin: First) -> First {
    begin.filter(|(_, param)| param.is_some())
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

impl Kernel for Fill {
    fn places(&self) -> Places {
        places!(=> self.y)
    }
    fn host(&self, h: &mut Host) {
        h.write(self.y, &vec![f64::from(self.value); self.y.len]);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([], [y]) = m.memory.access([], [Some(self.y)]);
        y.fill(self.value);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        use minrnn_kernels::elementwise::{Map, cuda::map};
        let y = m.view(self.y)?;
        y.fill(&m.gpu, 0)?;
        let (mul, add) = (0.0, f64::from(self.value));
        map(&m.gpu, Map::Affine { mul, add }, y, y, false)
    }
}
