//! A cell: gates and recurrence in one kernel.

use minrnn_kernels::{Candidate, Elem, Size, min_gru, min_lstm};
use minrnn_model::graph::{Fused, Region};

use super::Layer;
use super::begin::{back_first, first};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// Which cell.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `[k | v]`.
    MinGru(Candidate),
    /// `[p | q | v]`; whether gates are normalised.
    MinLstm(Candidate, bool),
}

/// h from the packed input.
#[derive(Debug)]
struct Cell {
    cell: Kind,
    x: Place,
    h0: Option<Place>,
    h: Place,
    scratch: Place,
    size: Size,
}

/// Its gradients; `dx` may be `x`.
#[derive(Debug)]
struct CellGrad {
    cell: Kind,
    x: Place,
    h0: Option<Place>,
    h: Place,
    dh: Place,
    dx: Place,
    dh0: Option<Place>,
    scratch: Place,
    size: Size,
}

fn kind(fused: Fused) -> Option<Kind> {
    match fused {
        Fused::MinGru { candidate } => Some(Kind::MinGru(candidate)),
        Fused::MinLstm {
            candidate,
            normalize,
        } => Some(Kind::MinLstm(candidate, normalize)),
        _ => None,
    }
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    kind(fused).map(|_| cell as Layer)
}

fn cell(p: &mut Planner<'_>, region: &Region) {
    let Some(cell) = kind(region.fused) else {
        return;
    };
    let compute = p.compute();
    let x = p.computed(region.inputs[0]);
    let begin = first(p, region.states[0]);
    let h0 = begin.map(|b| b.0);
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    p.slots[y].kept = true;
    let h = p.slots[y].place;
    let size = p.size(p.slots[y].width);
    let scratch = p.scan_scratch(size);
    let value = p.read(x);
    p.launch(Cell {
        cell,
        x: value,
        h0,
        h,
        scratch,
        size,
    });
    p.back(move |p| {
        let Some(dh) = p.grad(y, compute) else { return };
        let dx = p.in_place(x, compute);
        let dh0 = h0.map(|h0| p.buffer(h0.len, Elem::F32));
        p.launch(CellGrad {
            cell,
            x: value,
            h0,
            h,
            dh,
            dx,
            dh0,
            scratch,
            size,
        });
        back_first(p, begin, dh0);
        p.give(x, dx, false);
    });
}

impl Kernel for Cell {
    fn places(&self) -> Places {
        places!(self.x, self.h0 => self.h; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (x, h0, dims) = (
            h.read(self.x),
            h.begin(self.h0, self.size),
            self.size.dims(),
        );
        let all = match self.cell {
            Kind::MinGru(c) => min_gru::slow::min_gru(&x, &h0, c, dims),
            Kind::MinLstm(c, n) => min_lstm::slow::min_lstm(&x, &h0, c, n, dims),
        };
        h.write(self.h, &all);
    }
    fn cpu(&self, m: &mut Cpu) {
        m.prepare(self.size.b * self.size.d, 0);
        let m = m.parts();
        let ([x, h0], [h]) = (m.memory).access([Some(self.x), self.h0], [Some(self.h)]);
        let h0 = if self.h0.is_some() { h0 } else { m.zeros };
        match self.cell {
            Kind::MinGru(c) => min_gru::cpu::forward(c, x, h0, h, self.size),
            Kind::MinLstm(c, n) => min_lstm::cpu::forward((c, n), x, h0, h, self.size),
        }
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, h0, h) = (m.view(self.x)?, m.opt(self.h0)?, m.view(self.h)?);
        let (gpu, scratch, size) = (&m.gpu, m.view(self.scratch)?, self.size);
        match self.cell {
            Kind::MinGru(c) => min_gru::cuda::forward(gpu, x, h0, h, size, c, scratch),
            Kind::MinLstm(c, n) => min_lstm::cuda::forward(gpu, x, h0, h, size, c, n, scratch),
        }
    }
}

impl Kernel for CellGrad {
    fn places(&self) -> Places {
        places!(self.x, self.h0, self.h, self.dh => self.dx, self.dh0; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (x, h0, dh) = (h.read(self.x), h.begin(self.h0, self.size), h.read(self.dh));
        let dims = self.size.dims();
        let (dx, dh0) = match self.cell {
            Kind::MinGru(c) => min_gru::slow::min_gru_grad(&x, &h0, c, &dh, dims),
            Kind::MinLstm(c, n) => min_lstm::slow::min_lstm_grad(&x, &h0, c, n, &dh, dims),
        };
        h.write(self.dx, &dx);
        h.write_opt(self.dh0, &dh0);
    }
    fn cpu(&self, m: &mut Cpu) {
        m.move_to(self.x, self.dx);
        let len = self.size.b * self.size.d;
        m.prepare(len, 0);
        m.work.resize(len.max(m.work.len()), 0.0);
        let m = m.parts();
        let reads = [self.h0, Some(self.h), Some(self.dh)];
        let ([h0, h, dh], [dx, dh0]) = m.memory.access(reads, [Some(self.dx), self.dh0]);
        let h0 = if self.h0.is_some() {
            h0
        } else {
            &m.zeros[..len]
        };
        let dh0 = if self.dh0.is_some() {
            dh0
        } else {
            &mut m.work[..len]
        };
        let saved = [h0, h, dh];
        match self.cell {
            Kind::MinGru(c) => min_gru::cpu::backward(c, dx, saved, dh0, self.size),
            Kind::MinLstm(c, n) => min_lstm::cpu::backward((c, n), dx, saved, dh0, self.size),
        }
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, h0, h) = (m.view(self.x)?, m.opt(self.h0)?, m.view(self.h)?);
        let (dh, dx, dh0) = (m.view(self.dh)?, m.view(self.dx)?, m.opt(self.dh0)?);
        let (gpu, scratch, size) = (&m.gpu, m.view(self.scratch)?, self.size);
        match self.cell {
            Kind::MinGru(c) => {
                min_gru::cuda::backward(gpu, x, h0, h, dh, dx, dh0, size, c, scratch)
            }
            Kind::MinLstm(c, n) => {
                min_lstm::cuda::backward(gpu, x, h0, h, dh, dx, dh0, size, c, n, scratch)
            }
        }
    }
}
