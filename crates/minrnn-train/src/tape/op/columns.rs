//! Columns to columns: parts of a value, and values side by side.

use minrnn_kernels::Elem;
use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_model::graph::{Node, Op};

use super::attend;
use super::zero::Zero;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, SlotId};

/// A block of columns in a matrix: rows of `stride` elements, columns from `from`.
#[derive(Debug, Clone, Copy)]
struct Columns {
    place: Place,
    stride: usize,
    from: usize,
}

/// `width` columns of `rows` rows.
#[derive(Debug)]
pub(in crate::tape) struct CopyColumns {
    from: Columns,
    to: Columns,
    rows: usize,
    width: usize,
    add: bool,
}

impl CopyColumns {
    /// `width` columns of `rows` rows; each matrix with the elements from a row to the next, and its first column.
    pub(super) fn new(
        from: (Place, usize, usize),
        to: (Place, usize, usize),
        rows: usize,
        width: usize,
        add: bool,
    ) -> Self {
        let columns = |(place, stride, from)| Columns {
            place,
            stride,
            from,
        };
        Self {
            from: columns(from),
            to: columns(to),
            rows,
            width,
            add,
        }
    }
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    match node.op {
        Op::Narrow { start, .. } => {
            let x = p.slot(node.inputs[0]);
            if p.slots[x].width == node.width && p.slots[x].place.elem != Elem::U32 {
                p.alias(value, x);
            } else if !attend::reads_packed(p, value) {
                narrow(p, x, start, value);
            }
        }
        Op::Concat => {
            let parts = node.inputs.iter().map(|v| p.slot(*v)).collect();
            concat(p, parts, value);
        }
        _ => return None,
    }
    Some(())
}

fn columns(p: &Planner<'_>, slot: SlotId, from: usize) -> Columns {
    Columns {
        place: p.slots[slot].place,
        stride: p.slots[slot].width,
        from,
    }
}

fn narrow(p: &mut Planner<'_>, x: SlotId, start: usize, value: usize) {
    let y = p.like(x, value);
    p.read(x);
    p.launch(CopyColumns {
        from: columns(p, x, start),
        to: columns(p, y, 0),
        rows: p.slots[x].rows,
        width: p.slots[y].width,
        add: false,
    });
    p.back(move |p| back(p, x, start, y, 0));
}

fn concat(p: &mut Planner<'_>, parts: Vec<SlotId>, value: usize) {
    let first = p.slots[parts[0]].place.elem;
    let same = parts.iter().all(|x| p.slots[*x].place.elem == first);
    let elem = if same { first } else { Elem::F32 };
    let wanted = parts.iter().any(|x| p.slots[*x].wanted);
    let y = p.make(value, elem, elem, wanted);
    let mut from = 0;
    for part in &parts {
        p.read(*part);
        p.launch(CopyColumns {
            from: columns(p, *part, 0),
            to: columns(p, y, from),
            rows: p.slots[y].rows,
            width: p.slots[*part].width,
            add: false,
        });
        from += p.slots[*part].width;
    }
    p.back(move |p| {
        let mut from = 0;
        for part in parts {
            back(p, part, 0, y, from);
            from += p.slots[part].width;
        }
    });
}

/// The gradient of columns of `x` from columns of the gradient of `y`.
fn back(p: &mut Planner<'_>, x: SlotId, to: usize, y: SlotId, from: usize) {
    let Some(dy) = p.grad_for(x, y) else { return };
    let width = p.slots[x].width.min(p.slots[y].width);
    let (dx, add) = p.target(x);
    if !add && width < p.slots[x].width {
        p.launch(Zero { to: dx });
    }
    p.launch(CopyColumns {
        from: Columns {
            place: dy,
            ..columns(p, y, from)
        },
        to: Columns {
            place: dx,
            ..columns(p, x, to)
        },
        rows: p.slots[x].rows,
        width,
        add,
    });
}

impl Kernel for CopyColumns {
    fn places(&self) -> Places {
        places!(self.from.place => self.to.place)
    }
    fn again(&self) -> bool {
        !self.add && self.to.stride == self.width
    }
    fn host(&self, h: &mut Host) {
        let (from, to) = (self.from, self.to);
        let x = h.read(from.place);
        let mut y = h.read(to.place);
        for r in 0..self.rows {
            for j in 0..self.width {
                let old = &mut y[r * to.stride + to.from + j];
                let new = x[r * from.stride + from.from + j];
                *old = if self.add { *old + new } else { new };
            }
        }
        h.write(to.place, &y);
    }
    fn cpu(&self, m: &mut Cpu) {
        let (from, to) = (self.from, self.to);
        let ([x], [y]) = m.memory.access([Some(from.place)], [Some(to.place)]);
        let columns = |c: Columns| elementwise::Columns {
            stride: c.stride,
            from: c.from,
        };
        elementwise::copy_columns(x, columns(from), y, columns(to), self.width, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let columns = |c: Columns| -> Result<kernel::Columns<'_>> {
            Ok(kernel::Columns {
                view: m.view(c.place)?,
                stride: c.stride,
                from: c.from,
            })
        };
        let (from, to) = (columns(self.from)?, columns(self.to)?);
        kernel::copy_columns(&m.gpu, from, to, self.add, self.rows, self.width)
    }
}
