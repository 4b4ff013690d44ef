//! A value and a branch with dropout, added: the launch, and its gradients.

#[cfg(feature = "cuda")]
use minrnn_kernels::Elem;
use minrnn_kernels::dropout;
#[cfg(feature = "cuda")]
use minrnn_kernels::norm::cuda as kernel;

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::{Mask, Place};
use crate::tape::planner::{Planner, SlotId};

/// `y = x + dropout(a)`, or `dropout(a)` alone.
#[derive(Debug)]
pub(in crate::tape) struct AddDropout {
    x: Option<Place>,
    a: Place,
    mask: Option<Mask>,
    y: Place,
}

/// Adds it.
pub(super) fn add_dropout(
    p: &mut Planner<'_>,
    x: Option<SlotId>,
    a: SlotId,
    mask: Option<Mask>,
    y: SlotId,
) {
    let left = x.map(|x| p.read(x));
    let right = p.read(a);
    p.launch(AddDropout {
        x: left,
        a: right,
        mask,
        y: p.slots[y].place,
    });
    p.back(move |p| back(p, x, a, mask, y));
}

/// The gradients of both summands from that of `y`, in the same memory where they are the same.
pub(super) fn back(
    p: &mut Planner<'_>,
    x: Option<SlotId>,
    a: SlotId,
    mask: Option<Mask>,
    y: SlotId,
) {
    let Some(dy) = p.slots[y].grad else { return };
    let elem = p.slots[a].grad_elem;
    let alias = p.slots[a].wanted && mask.is_none() && elem == dy.place.elem;
    if alias {
        p.give(a, dy.place, true);
    } else if p.slots[a].wanted {
        let da = p.buffer(dy.place.len, elem);
        p.launch(AddDropout {
            x: None,
            a: dy.place,
            mask,
            y: da,
        });
        p.give(a, da, false);
    }
    if let Some(x) = x {
        p.give(x, dy.place, dy.shared || alias);
    }
}

impl Kernel for AddDropout {
    fn places(&self) -> Places {
        places!(self.x, self.a => self.y)
    }
    fn again(&self) -> bool {
        true
    }
    fn host(&self, h: &mut Host) {
        let mut sum = h.masked(self.mask, h.read(self.a));
        if let Some(x) = h.opt(self.x) {
            sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
        }
        h.write(self.y, &sum);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = m.mask(self.mask);
        let ([x, a], [y]) = (m.memory).access([self.x, Some(self.a)], [Some(self.y)]);
        dropout::cpu::add(self.x.map(|_| x), a, mask, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, a, y) = (m.opt(self.x)?, m.view(self.a)?, m.view(self.y)?);
        let mask = m.mask(self.mask)?;
        if x.is_none() && a.elem() == Elem::F32 {
            return kernel::add_dropout_backward(&m.gpu, a, mask, y, self.y.len);
        }
        kernel::add_dropout(&m.gpu, x, a, mask, y, self.y.len)
    }
}
