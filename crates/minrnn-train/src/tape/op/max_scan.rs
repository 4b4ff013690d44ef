//! The recurrence of the law Max: the largest so far.

use minrnn_kernels::{Elem, Size, max_scan as kernel};
use minrnn_model::graph::{Law, Node, Op};

use super::begin::{back_first, first, learned};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `h[t] = max(h[t-1], b[t])`, f32.
#[derive(Debug)]
struct MaxScan {
    b: Place,
    h0: Option<Place>,
    h: Place,
    size: Size,
}

/// Its gradients.
#[derive(Debug)]
struct MaxScanGrad {
    b: Place,
    h0: Option<Place>,
    h: Place,
    dh: Place,
    db: Place,
    dh0: Option<Place>,
    size: Size,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Recur {
        state,
        law: Law::Max,
    } = node.op
    else {
        return None;
    };
    let x = p.slot(node.inputs[0]);
    let x = p.cast(x, Elem::F32);
    let begin = first(p, state);
    let h0 = begin.map(|b| b.0);
    let out = p.like(x, value);
    p.slots[out].kept = true;
    p.slots[out].wanted |= learned(begin).is_some();
    let h = p.slots[out].place;
    let size = p.size(p.slots[out].width);
    let b = p.read(x);
    p.launch(MaxScan { b, h0, h, size });
    p.back(move |p| {
        let Some(dh) = p.grad(out, Elem::F32) else {
            return;
        };
        let db = p.buffer(b.len, Elem::F32);
        let dh0 = learned(begin).map(|(h0, _)| p.buffer(h0.len, Elem::F32));
        p.launch(MaxScanGrad {
            b,
            h0,
            h,
            dh,
            db,
            dh0,
            size,
        });
        back_first(p, begin, dh0);
        p.give(x, db, false);
    });
    Some(())
}

impl Kernel for MaxScan {
    fn places(&self) -> Places {
        places!(self.b, self.h0 => self.h)
    }
    fn host(&self, h: &mut Host) {
        let (b, h0) = (h.read(self.b), h.begin(self.h0, self.size));
        h.write(self.h, &kernel::slow::max_scan(&b, &h0, self.size.dims()));
    }
    fn cpu(&self, m: &mut Cpu) {
        m.prepare(self.size.b * self.size.d, 0);
        let m = m.parts();
        let ([b, h0], [h]) = (m.memory).access([Some(self.b), self.h0], [Some(self.h)]);
        let h0 = if self.h0.is_some() { h0 } else { m.zeros };
        kernel::cpu::forward(b, h0, h, self.size);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (b, h0, h) = (m.view(self.b)?, m.opt(self.h0)?, m.view(self.h)?);
        kernel::cuda::forward(&m.gpu, b, h0, h, self.size)
    }
}

impl Kernel for MaxScanGrad {
    fn places(&self) -> Places {
        places!(self.b, self.h0, self.h, self.dh => self.db, self.dh0)
    }
    fn host(&self, h: &mut Host) {
        let (b, h0) = (h.read(self.b), h.begin(self.h0, self.size));
        let (all, dh) = (h.read(self.h), h.read(self.dh));
        let (db, dh0) = kernel::slow::max_scan_grad(&b, &h0, &all, &dh, self.size.dims());
        h.write(self.db, &db);
        h.write_opt(self.dh0, &dh0);
    }
    fn cpu(&self, m: &mut Cpu) {
        let len = self.size.b * self.size.d;
        m.prepare(len, 0);
        m.work.resize(len.max(m.work.len()), 0.0);
        let m = m.parts();
        let reads = [Some(self.b), self.h0, Some(self.h), Some(self.dh)];
        let ([b, h0, h, dh], [db, dh0]) = m.memory.access(reads, [Some(self.db), self.dh0]);
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
        kernel::cpu::backward([b, h0, h, dh], [db, dh0], self.size);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let grads = kernel::cuda::Backward {
            b: m.view(self.b)?,
            h0: m.opt(self.h0)?,
            h: m.view(self.h)?,
            dh: m.view(self.dh)?,
            db: m.view(self.db)?,
            dh0: m.opt(self.dh0)?,
        };
        kernel::cuda::backward(&m.gpu, &grads, self.size)
    }
}
