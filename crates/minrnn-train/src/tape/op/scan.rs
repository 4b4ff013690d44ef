//! The recurrence of two values.

use minrnn_kernels::{Elem, Size, linear_scan};
use minrnn_model::graph::{Law, Node, Op};

use super::begin::{back_first, first, learned};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `h[t] = a[t] h[t-1] + b[t]`.
#[derive(Debug)]
struct Scan {
    a: Place,
    b: Place,
    h0: Option<Place>,
    h: Place,
    scratch: Place,
    size: Size,
}

/// Its gradients.
#[derive(Debug)]
struct ScanGrad {
    a: Place,
    h0: Option<Place>,
    h: Place,
    dh: Place,
    da: Place,
    db: Place,
    dh0: Option<Place>,
    scratch: Place,
    size: Size,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Recur {
        state,
        law: Law::Linear,
    } = node.op
    else {
        return None;
    };
    let (x, y) = (p.slot(node.inputs[0]), p.slot(node.inputs[1]));
    let x = p.cast(x, Elem::F32);
    let begin = first(p, state);
    let h0 = begin.map(|b| b.0);
    let out = p.like(y, value);
    p.slots[out].kept = true;
    p.slots[out].wanted |= p.slots[x].wanted || learned(begin).is_some();
    let h = p.slots[out].place;
    let size = p.size(p.slots[out].width);
    let scratch = p.scan_scratch(size);
    let (a, b) = (p.read(x), p.read(y));
    p.launch(Scan {
        a,
        b,
        h0,
        h,
        scratch,
        size,
    });
    p.back(move |p| {
        let Some(dh) = p.grad(out, h.elem) else {
            return;
        };
        let da = p.buffer(a.len, Elem::F32);
        let db = p.buffer(b.len, h.elem);
        let dh0 = learned(begin).map(|(h0, _)| p.buffer(h0.len, Elem::F32));
        p.launch(ScanGrad {
            a,
            h0,
            h,
            dh,
            da,
            db,
            dh0,
            scratch,
            size,
        });
        back_first(p, begin, dh0);
        p.give(x, da, false);
        p.give(y, db, false);
    });
    Some(())
}

impl Kernel for Scan {
    fn places(&self) -> Places {
        places!(self.a, self.b, self.h0 => self.h; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (a, b, h0) = (h.read(self.a), h.read(self.b), h.begin(self.h0, self.size));
        let all = linear_scan::slow::linear_scan(&a, &b, &h0, self.size.dims());
        h.write(self.h, &all);
    }
    fn cpu(&self, m: &mut Cpu) {
        m.prepare(self.size.b * self.size.d, 0);
        let m = m.parts();
        let reads = [Some(self.a), Some(self.b), self.h0];
        let ([a, b, h0], [h]) = m.memory.access(reads, [Some(self.h)]);
        let h0 = if self.h0.is_some() { h0 } else { m.zeros };
        linear_scan::cpu::forward(a, b, h0, h, self.size);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (a, b, h0) = (m.view(self.a)?, m.view(self.b)?, m.opt(self.h0)?);
        let (h, scratch) = (m.view(self.h)?, m.view(self.scratch)?);
        linear_scan::cuda::forward(&m.gpu, a, b, h0, h, self.size, scratch)
    }
}

impl Kernel for ScanGrad {
    fn places(&self) -> Places {
        places!(self.a, self.h0, self.h, self.dh => self.da, self.db, self.dh0; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (a, h0) = (h.read(self.a), h.begin(self.h0, self.size));
        let (all, dh) = (h.read(self.h), h.read(self.dh));
        let (da, db, dh0) =
            linear_scan::slow::linear_scan_grad(&a, &h0, &all, &dh, self.size.dims());
        h.write(self.da, &da);
        h.write(self.db, &db);
        h.write_opt(self.dh0, &dh0);
    }
    fn cpu(&self, m: &mut Cpu) {
        let len = self.size.b * self.size.d;
        m.prepare(len, 0);
        m.work.resize(len.max(m.work.len()), 0.0);
        let m = m.parts();
        let reads = [Some(self.a), self.h0, Some(self.h), Some(self.dh)];
        let writes = [Some(self.da), Some(self.db), self.dh0];
        let ([a, h0, h, dh], [da, db, dh0]) = m.memory.access(reads, writes);
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
        linear_scan::cpu::backward([a, h0, h, dh], [da, db, dh0], self.size);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        linear_scan::cuda::backward(
            &m.gpu,
            m.view(self.a)?,
            m.opt(self.h0)?,
            m.view(self.h)?,
            m.view(self.dh)?,
            m.view(self.da)?,
            m.view(self.db)?,
            m.opt(self.dh0)?,
            self.size,
            m.view(self.scratch)?,
        )
    }
}
