//! Sums of a residual stream and a branch, with the branch's dropout.

use minrnn_kernels::Elem;
#[cfg(feature = "cuda")]
use minrnn_kernels::norm::cuda as kernel;
use minrnn_model::graph::{Binary, Value};

use super::map2::map2;
use super::norm::norm;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Mask, Place, Places, places};
use crate::tape::planner::{Planner, Slot, SlotId};

/// `y = x + dropout(a)`, or `dropout(a)` alone.
#[derive(Debug)]
pub(in crate::tape) struct AddDropout {
    x: Option<Place>,
    a: Place,
    mask: Option<Mask>,
    y: Place,
}

/// `value = x + dropout(branch)`, then its normalisation by the region `next`, where there is one.
pub(super) fn sum(
    p: &mut Planner<'_>,
    x: Option<Value>,
    branch: Value,
    mask: Option<Mask>,
    value: usize,
    next: Option<usize>,
) {
    let mask = p.mask(mask);
    let a = p.slot(branch);
    let Some(x) = x.map(|x| p.slot(x)) else {
        return dropped(p, a, mask, value);
    };
    // The branch is what a layer made, in the compute type; what runs along is a sum in f32.
    let compute = p.compute();
    let swap = mask.is_none() && p.slots[a].place.elem != compute;
    let (x, a) = if swap { (a, x) } else { (x, a) };
    if p.slots[a].place.elem != compute {
        return wide(p, x, a, mask, value, next);
    }
    let x = p.cast(x, Elem::F32);
    let s = p.make(value, Elem::F32, Elem::F32, true);
    if let Some(region) = next {
        return norm(p, s, Some((x, a, mask)), region);
    }
    launch(p, Some(x), a, mask, s);
}

fn launch(p: &mut Planner<'_>, x: Option<SlotId>, a: SlotId, mask: Option<Mask>, y: SlotId) {
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

/// A sum of two values that are both wider than the compute type, in primitives.
fn wide(
    p: &mut Planner<'_>,
    x: SlotId,
    mut a: SlotId,
    mask: Option<Mask>,
    value: usize,
    next: Option<usize>,
) {
    if mask.is_some() {
        let branch = p.slots[a];
        let place = p.buffer(branch.place.len, branch.place.elem);
        let y = p.push(Slot { place, ..branch });
        launch(p, None, a, mask, y);
        a = y;
    }
    map2(p, Binary::Add, x, a, value);
    if let Some(region) = next {
        let s = p.slot(Value::at(value));
        norm(p, s, None, region);
    }
}

/// Dropout alone.
fn dropped(p: &mut Planner<'_>, a: SlotId, mask: Option<Mask>, value: usize) {
    if mask.is_none() {
        return p.alias(value, a);
    }
    let slot = p.slots[a];
    let y = p.make(value, slot.place.elem, slot.grad_elem, slot.wanted);
    launch(p, None, a, mask, y);
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
    fn host(&self, h: &mut Host) {
        let mut sum = h.masked(self.mask, h.read(self.a));
        if let Some(x) = h.opt(self.x) {
            sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
        }
        h.write(self.y, &sum);
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
