//! The gradients of a plan in the making: where each is written, added, or lies already.

use minrnn_kernels::Elem;
use minrnn_model::graph::Param;

use super::place::{Place, Space};
use super::planner::{Grad, Planner, SlotId};

impl Planner<'_> {
    /// The gradient of a slot in the type `elem`; `None` where nothing asked for one.
    pub(super) fn grad(&mut self, slot: SlotId, elem: Elem) -> Option<Place> {
        let grad = self.slots[slot].grad?.place;
        if grad.elem == elem {
            return Some(grad);
        }
        let y = self.buffer(grad.len, elem);
        self.copy(grad, y, false);
        Some(y)
    }

    /// The gradient as it is.
    pub(super) fn grad_any(&self, slot: SlotId) -> Option<Place> {
        self.slots[slot].grad.map(|g| g.place)
    }

    /// The gradient of `y` as it is, if `x`, of which it is made, wants one.
    pub(super) fn grad_for(&self, x: SlotId, y: SlotId) -> Option<Place> {
        self.grad_any(y).filter(|_| self.slots[x].wanted)
    }

    /// Where a launch that can add may write the gradient of a slot, and whether it must add.
    pub(super) fn target(&mut self, slot: SlotId) -> (Place, bool) {
        let known = self.slots[slot].grad;
        if let Some(grad) = known.filter(|g| !g.shared) {
            return (grad.place, true);
        }
        let place = self.fresh(slot);
        if let Some(grad) = known {
            self.copy(grad.place, place, false);
        }
        self.own(slot, place);
        (place, known.is_some())
    }

    /// A new buffer for the gradient of a slot.
    pub(super) fn fresh(&mut self, slot: SlotId) -> Place {
        let (len, elem) = (self.slots[slot].place.len, self.slots[slot].grad_elem);
        self.buffer(len, elem)
    }

    /// The gradient of a slot lies in `place`, which nobody else reads.
    pub(super) fn own(&mut self, slot: SlotId, place: Place) {
        self.slots[slot].grad = Some(Grad {
            place,
            shared: false,
        });
    }

    /// Hands over a gradient that lies in `place` already. `shared`: somebody else reads it too.
    pub(super) fn give(&mut self, slot: SlotId, place: Place, shared: bool) {
        if !self.slots[slot].wanted {
            return;
        }
        if self.slots[slot].grad.is_none() && place.elem == self.slots[slot].grad_elem {
            self.slots[slot].grad = Some(Grad { place, shared });
            return;
        }
        let (to, add) = self.target(slot);
        self.copy(place, to, add);
    }

    /// Memory for a gradient of `x` in type `elem`: that of `x` itself where nobody reads it any more, else a new buffer.
    pub(super) fn in_place(&mut self, x: SlotId, elem: Elem) -> Place {
        let slot = &self.slots[x];
        let own = matches!(slot.place.space, Space::Buffer(_));
        if own && slot.readers == 1 && !slot.kept && slot.place.elem == elem {
            return slot.place;
        }
        self.buffer(slot.place.len, elem)
    }

    /// Whether the gradient of a parameter is wanted.
    pub(super) fn trained(&self, param: Param) -> bool {
        self.layout.trained.contains(&param.index())
    }

    /// Marks the gradient of a parameter as written; whether it was before.
    pub(super) fn write_grad(&mut self, param: Param) -> bool {
        std::mem::replace(&mut self.written[param.index()], true)
    }

    /// Memory that a launch may write the whole gradient of a parameter to, to be handed to [`Planner::add_rest`] behind it.
    pub(super) fn whole(&mut self, param: Param) -> Whole {
        let grad = self.param_grad(param);
        let written = self.write_grad(param);
        let to = if written {
            self.buffer(grad.len, Elem::F32)
        } else {
            grad
        };
        Whole {
            to,
            rest: written.then_some(grad),
        }
    }

    /// Adds what [`Planner::whole`] set apart because there was a gradient before.
    pub(super) fn add_rest(&mut self, whole: Whole) {
        if let Some(grad) = whole.rest {
            self.copy(whole.to, grad, true);
        }
    }

    /// Where the gradient of the bias that was added to `x` goes, if a launch that writes the whole gradient of `x` can sum
    /// its columns: the bias is then done.
    pub(super) fn bias_sums(&mut self, x: SlotId) -> Option<Place> {
        if self.slots[x].readers != 1 || self.slots[x].grad.is_some() {
            return None;
        }
        let bias = *self.bias_of.get(&x)?;
        if self.written[bias.index()] || !self.trained(bias) {
            return None;
        }
        self.bias_of.remove(&x);
        self.write_grad(bias);
        Some(self.param_grad(bias))
    }
}

/// See [`Planner::whole`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) to: Place,
    rest: Option<Place>,
}
