//! Sums of a residual stream and a branch, with the branch's dropout.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Binary, Value};

use super::add_dropout::add_dropout;
use super::map2::map2;
use super::norm::norm;
use crate::tape::place::Mask;
use crate::tape::planner::{Planner, Slot, SlotId};

/// `value = x + dropout(branch)`, then its normalisation by the region `next`, where there is one.
pub(in crate::tape) fn sum(
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
    add_dropout(p, Some(x), a, mask, s);
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
        add_dropout(p, None, a, mask, y);
        a = y;
    }
    let [left, right] = [x, a].map(|x| p.slots[x].place.elem);
    if left == Elem::F32 && right == Elem::F32 {
        // Both gradients are that of the sum: no launch for them.
        let s = p.make(value, Elem::F32, Elem::F32, true);
        add_dropout(p, Some(x), a, None, s);
    } else {
        map2(p, Binary::Add, x, a, value);
    }
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
    add_dropout(p, None, a, mask, y);
}
