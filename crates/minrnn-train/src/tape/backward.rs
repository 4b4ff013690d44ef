//! Launches of the backward pass and of the optimizer.

use minrnn_kernels::Elem;
use minrnn_model::graph::Binary;

use super::launch::{Columns, Launch, Map1, Place, Space};
use super::plan::{Grad, Need, Planner, SlotId};
use super::taped::Taped;
use crate::error::{Result, TrainError};

impl Planner<'_> {
    /// Adds the launches that give every parameter its gradient.
    pub(super) fn backward(&mut self) -> Result<()> {
        while let Some(taped) = self.tape.pop() {
            self.back(taped);
        }
        for (state, place) in std::mem::take(&mut self.delay_states) {
            let spec = &self.graph.states()[state];
            if let minrnn_model::graph::StateInit::Learned(p) = spec.init {
                let (rows, width) = (self.options.batch, spec.len());
                self.column_sum(place, p.index(), 0, rows, width);
            }
        }
        let missing = self.layout.trained.iter().find(|p| !self.written[**p]);
        match missing {
            Some(p) => Err(TrainError::NoGradient {
                tensor: self.graph.params()[*p].name.clone(),
                step: 0,
            }),
            None => Ok(()),
        }
    }

    /// Adds the update of the parameters.
    pub(super) fn optimizer(&mut self) {
        let (len, decayed) = (self.layout.trained_len, self.layout.decayed_len);
        if len == 0 {
            return;
        }
        let scratch = self.scratch(Need::GradNorm { len });
        self.launches.push(Launch::GradNorm {
            grads: Place::new(Space::Grads, len, Elem::F32),
            scratch,
        });
        self.launches.push(Launch::AdamW { len, decayed });
    }

    /// The gradient of a slot in the type `elem`; `None` where nothing asked for one.
    fn grad(&mut self, slot: SlotId, elem: Elem) -> Option<Place> {
        let grad = self.slots[slot].grad?.place;
        if grad.elem == elem {
            return Some(grad);
        }
        let y = self.buffer(grad.len, elem);
        self.copy(grad, y, false);
        Some(y)
    }

    /// The gradient as it is.
    fn grad_any(&self, slot: SlotId) -> Option<Place> {
        self.slots[slot].grad.map(|g| g.place)
    }

    fn copy(&mut self, x: Place, y: Place, add: bool) {
        let f = Map1::Copy;
        self.launches.push(Launch::Map1 { f, x, y, add });
    }

    /// Where a launch that can add may write the gradient of a slot, and whether it must add.
    fn target(&mut self, slot: SlotId) -> (Place, bool) {
        match self.slots[slot].grad {
            None => {
                let place = self.fresh(slot);
                self.slots[slot].grad = Some(Grad {
                    place,
                    shared: false,
                });
                (place, false)
            }
            Some(grad) if !grad.shared => (grad.place, true),
            Some(grad) => {
                let place = self.fresh(slot);
                self.copy(grad.place, place, false);
                self.slots[slot].grad = Some(Grad {
                    place,
                    shared: false,
                });
                (place, true)
            }
        }
    }

    fn fresh(&mut self, slot: SlotId) -> Place {
        let (len, elem) = (self.slots[slot].place.len, self.slots[slot].grad_elem);
        self.buffer(len, elem)
    }

    /// Hands over a gradient that lies in `place` already. `shared`: somebody else reads it too.
    fn give(&mut self, slot: SlotId, place: Place, shared: bool) {
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
    fn in_place(&mut self, x: SlotId, elem: Elem) -> Place {
        let slot = &self.slots[x];
        let own = matches!(slot.place.space, Space::Buffer(_));
        if own && slot.readers == 1 && !slot.kept && slot.place.elem == elem {
            return slot.place;
        }
        self.buffer(slot.place.len, elem)
    }

    /// Where the gradient of a parameter's row goes, and whether it must be added.
    fn row_target(&mut self, param: usize, row: usize, width: usize) -> Place {
        let whole = self.param_grad(param);
        if !self.written[param] {
            self.written[param] = true;
            self.launches.push(Launch::Zero { to: whole });
        }
        whole.part(row * width, width)
    }

    /// Runs `write` on memory for the whole gradient of a parameter; adds where one is there already.
    fn whole(&mut self, param: usize, write: impl FnOnce(&mut Self, Place)) {
        let to = self.param_grad(param);
        if !self.written[param] {
            self.written[param] = true;
            return write(self, to);
        }
        let more = self.buffer(to.len, Elem::F32);
        write(self, more);
        self.copy(more, to, true);
    }

    /// Adds the sums of columns of `x` to a row of a parameter's gradient.
    fn column_sum(&mut self, x: Place, param: usize, row: usize, rows: usize, width: usize) {
        let whole = self.param_grad(param);
        let fresh = !self.written[param] && whole.len == width;
        let out = if fresh {
            self.written[param] = true;
            whole
        } else {
            self.row_target(param, row, width)
        };
        let scratch = self.scratch(Need::ColumnSum { rows, width });
        self.launches.push(Launch::ColumnSum {
            x,
            out,
            scratch,
            rows,
            width,
            add: !fresh,
        });
    }

    /// Where the gradient of the bias that was added to `x` goes, if a launch that writes the whole gradient of `x` can sum
    /// its columns: the bias is then done.
    fn bias_sums(&mut self, x: SlotId) -> Option<Place> {
        if self.slots[x].readers != 1 || self.slots[x].grad.is_some() {
            return None;
        }
        let bias = self.bias_of.get(&x)?.index();
        if self.written[bias] || !self.trained(bias) {
            return None;
        }
        self.bias_of.remove(&x);
        self.written[bias] = true;
        Some(self.param_grad(bias))
    }

    fn trained(&self, param: usize) -> bool {
        self.layout.trained.contains(&param)
    }

    fn back(&mut self, taped: Taped) {
        match taped {
            Taped::Cast { x, y } => {
                if let Some(dy) = self.grad_any(y).filter(|_| self.slots[x].wanted) {
                    let (dx, add) = self.target(x);
                    self.copy(dy, dx, add);
                }
            }
            Taped::Embed { table, mask, y } => self.back_embed(table.index(), mask, y),
            Taped::Linear { x, weight, bias, y } => {
                self.back_linear(x, weight.index(), bias.map(|b| b.index()), y)
            }
            Taped::Norm { .. } => self.back_norm(taped),
            Taped::Sum { x, a, mask, y } => self.back_sum(x, a, mask, y),
            Taped::Conv { .. } => self.back_conv(taped),
            Taped::Activation { kind, x, y } => {
                let elem = self.options.compute;
                let Some(dy) = self.grad(y, elem) else { return };
                let sums = self.bias_sums(x).map(|sums| {
                    let (rows, width) = (self.rows(self.slots[x].timed), self.slots[x].width);
                    (sums, self.scratch(Need::ColumnSum { rows, width }))
                });
                let dx = self.in_place(x, elem);
                let value = self.slots[x].place;
                self.launches.push(Launch::ActivationGrad {
                    kind,
                    x: value,
                    dy,
                    dx,
                    sums,
                });
                self.give(x, dx, false);
            }
            Taped::Cell { .. } => self.back_cell(taped),
            Taped::Scan { .. } => self.back_scan(taped),
            Taped::Map1 { f, x, y } => {
                let Some(dy) = self.grad_any(y).filter(|_| self.slots[x].wanted) else {
                    return;
                };
                let value = self.slots[x].place;
                let (dx, add) = self.target(x);
                self.launches.push(Launch::Map1Grad {
                    f,
                    x: value,
                    dy,
                    dx,
                    add,
                });
            }
            Taped::Map2 { f, a, b, y } => self.back_map2(f, a, b, y),
            Taped::Vec {
                multiply,
                x,
                param,
                row,
                y,
            } => self.back_vec(multiply, x, (param.index(), row), y),
            Taped::Mean { x, y } => {
                let Some(dy) = self.grad_any(y).filter(|_| self.slots[x].wanted) else {
                    return;
                };
                let (dx, add) = self.target(x);
                let (rows, width) = (self.rows(self.slots[x].timed), self.slots[x].width);
                self.launches.push(Launch::MeanGrad {
                    dy,
                    dx,
                    rows,
                    width,
                    add,
                });
            }
            Taped::Narrow { x, start, y } => self.back_columns(x, start, y, 0),
            Taped::Concat { parts, y } => {
                let mut from = 0;
                for part in parts {
                    self.back_columns(part, 0, y, from);
                    from += self.slots[part].width;
                }
            }
            Taped::Delay { .. } => self.back_delay(taped),
            Taped::Last { x, y, size } => {
                let Some(dy) = self.grad_any(y).filter(|_| self.slots[x].wanted) else {
                    return;
                };
                let (dx, add) = self.target(x);
                let lens = Place::new(Space::Lens, self.options.batch, Elem::U32);
                self.launches.push(Launch::LastGrad {
                    dy,
                    lens: self.options.lens.then_some(lens),
                    dx,
                    size,
                    add,
                });
            }
        }
    }

    fn back_embed(&mut self, table: usize, mask: Option<super::launch::Mask>, y: SlotId) {
        let Some(dy) = self.grad_any(y) else { return };
        let (rows, width) = (self.rows(true), self.slots[y].width);
        let vocab = self.layout.lens[table] / width;
        let ids = Place::new(Space::Ids, rows, Elem::U32);
        self.whole(table, |p, dtable| {
            let scratch = p.scratch(Need::Embed { rows, width, vocab });
            p.launches.push(Launch::EmbedGrad {
                ids,
                dy,
                mask,
                dtable,
                scratch,
                rows,
                width,
                vocab,
            });
        });
    }

    fn back_linear(&mut self, x: SlotId, weight: usize, bias: Option<usize>, y: SlotId) {
        let compute = self.options.compute;
        let Some(dy) = self.grad(y, compute) else {
            return;
        };
        let rows = self.rows(self.slots[x].timed);
        let (k, n) = (self.slots[x].width, self.slots[y].width);
        let value = self.slots[x].place;
        let add = self.written[weight];
        self.written[weight] = true;
        self.launches.push(Launch::Matmul {
            a: value,
            a_transposed: true,
            b: dy,
            b_transposed: false,
            bias: None,
            c: self.param_grad(weight),
            m: k,
            n,
            k: rows,
            add,
        });
        if let Some(bias) = bias.filter(|_| self.bias_of.contains_key(&y)) {
            self.column_sum(dy, bias, 0, rows, n);
        }
        if !self.slots[x].wanted {
            return;
        }
        let (dx, add) = self.target(x);
        self.launches.push(Launch::Matmul {
            a: dy,
            a_transposed: false,
            b: self.param_as(minrnn_model::graph::Param::at(weight), compute),
            b_transposed: true,
            bias: None,
            c: dx,
            m: rows,
            n: k,
            k: n,
            add,
        });
    }

    fn back_norm(&mut self, taped: Taped) {
        let Taped::Norm {
            kind,
            s,
            branch,
            weight,
            bias,
            stats,
            y,
        } = taped
        else {
            return;
        };
        let Some(dy) = self.grad(y, self.options.compute) else {
            if let Some((x, a, mask)) = branch {
                self.back_sum(Some(x), a, mask, s);
            }
            return;
        };
        let sum = self.slots[s];
        let (rows, width) = (self.rows(sum.timed), sum.width);
        let ds = match sum.grad {
            Some(grad) if !grad.shared => grad.place,
            _ => self.fresh(s),
        };
        let da = branch.and_then(|(_, a, mask)| {
            let elem = self.slots[a].grad_elem;
            let alias = mask.is_none() && elem == ds.elem;
            (self.slots[a].wanted && !alias).then(|| (self.buffer(sum.place.len, elem), mask))
        });
        let sums = branch
            .filter(|_| da.is_some())
            .and_then(|(_, a, _)| self.bias_sums(a));
        let (weight, bias) = (weight.index(), bias.map(|b| b.index()));
        // The kernel writes gain and bias whole; where one of them is used twice, a copy is added.
        let own = |p: &mut Self, param: usize| {
            let to = p.param_grad(param);
            if p.written[param] {
                (p.buffer(to.len, Elem::F32), Some(to))
            } else {
                p.written[param] = true;
                (to, None)
            }
        };
        let dweight = own(self, weight);
        let dbias = bias.map(|b| own(self, b));
        let scratch = self.scratch(Need::Norm { rows, width });
        self.launches.push(Launch::NormGrad {
            kind,
            s: sum.place,
            weight: self.param(minrnn_model::graph::Param::at(weight)),
            stats,
            dy,
            dsum: sum.grad.map(|g| g.place),
            ds,
            branch: da,
            sums,
            dweight: dweight.0,
            dbias: dbias.map(|d| d.0),
            scratch,
            rows,
            width,
        });
        for (from, to) in [Some(dweight), dbias].into_iter().flatten() {
            if let Some(to) = to {
                self.copy(from, to, true);
            }
        }
        self.slots[s].grad = Some(Grad {
            place: ds,
            shared: false,
        });
        if let Some((x, a, _)) = branch {
            match da {
                Some((da, _)) => self.give(a, da, false),
                None => self.give(a, ds, true),
            }
            self.give(x, ds, da.is_none() && self.slots[a].wanted);
        }
    }

    fn back_sum(
        &mut self,
        x: Option<SlotId>,
        a: SlotId,
        mask: Option<super::launch::Mask>,
        y: SlotId,
    ) {
        let Some(dy) = self.slots[y].grad else { return };
        let elem = self.slots[a].grad_elem;
        let alias = mask.is_none() && elem == dy.place.elem;
        if self.slots[a].wanted {
            if alias {
                self.give(a, dy.place, true);
            } else {
                let da = self.buffer(dy.place.len, elem);
                self.launches.push(Launch::AddDropout {
                    x: None,
                    a: dy.place,
                    mask,
                    y: da,
                });
                self.give(a, da, false);
            }
        }
        if let Some(x) = x {
            self.give(x, dy.place, dy.shared || (alias && self.slots[a].wanted));
        }
    }

    fn back_conv(&mut self, taped: Taped) {
        let Taped::Conv {
            x,
            state,
            weight,
            bias,
            y,
            size,
            kernel,
        } = taped
        else {
            return;
        };
        let compute = self.options.compute;
        let Some(dy) = self.grad(y, compute) else {
            return;
        };
        let value = self.slots[x].place;
        let dx = self.buffer(value.len, compute);
        let (weight, bias) = (weight.index(), bias.map(|b| b.index()));
        let dstate = state.map(|(place, _)| self.buffer(place.len, Elem::F32));
        let scratch = self.scratch(Need::Conv {
            batch: size.batch,
            time: size.time,
            width: size.width,
            kernel,
        });
        self.whole(weight, |p, dweight| {
            let write = |p: &mut Self, dbias: Option<Place>| {
                p.launches.push(Launch::ConvGrad {
                    x: value,
                    state: state.map(|s| s.0),
                    weight: p.param(minrnn_model::graph::Param::at(weight)),
                    dy,
                    dx,
                    dweight,
                    dbias,
                    dstate,
                    scratch,
                    size,
                    kernel,
                });
            };
            match bias {
                Some(bias) => p.whole(bias, |p, dbias| write(p, Some(dbias))),
                None => write(p, None),
            }
        });
        if let (Some((_, p)), Some(dstate)) = (state, dstate) {
            let width = dstate.len / size.batch;
            self.column_sum(dstate, p.index(), 0, size.batch, width);
        }
        self.give(x, dx, false);
    }

    fn back_cell(&mut self, taped: Taped) {
        let Taped::Cell {
            cell,
            x,
            h0,
            h,
            scratch,
            size,
        } = taped
        else {
            return;
        };
        let compute = self.options.compute;
        let Some(dh) = self.grad(h, compute) else {
            return;
        };
        let dx = self.in_place(x, compute);
        let dh0 = h0.map(|_| self.buffer(size.batch * size.width, Elem::F32));
        let (value, h) = (self.slots[x].place, self.slots[h].place);
        self.launches.push(Launch::CellGrad {
            cell,
            x: value,
            h0: h0.map(|h| h.0),
            h,
            dh,
            dx,
            dh0,
            scratch,
            size,
        });
        if let (Some((_, p)), Some(dh0)) = (h0, dh0) {
            self.column_sum(dh0, p.index(), 0, size.batch, size.width);
        }
        self.give(x, dx, false);
    }

    fn back_scan(&mut self, taped: Taped) {
        let Taped::Scan {
            a,
            b,
            h0,
            h,
            scratch,
            size,
        } = taped
        else {
            return;
        };
        let elem = self.slots[h].place.elem;
        let Some(dh) = self.grad(h, elem) else { return };
        let da = self.buffer(self.slots[a].place.len, Elem::F32);
        let db = self.buffer(self.slots[b].place.len, elem);
        let dh0 = h0.map(|_| self.buffer(size.batch * size.width, Elem::F32));
        let (value, h) = (self.slots[a].place, self.slots[h].place);
        self.launches.push(Launch::ScanGrad {
            a: value,
            h0: h0.map(|h| h.0),
            h,
            dh,
            da,
            db,
            dh0,
            scratch,
            size,
        });
        if let (Some((_, p)), Some(dh0)) = (h0, dh0) {
            self.column_sum(dh0, p.index(), 0, size.batch, size.width);
        }
        self.give(a, da, false);
        self.give(b, db, false);
    }

    fn back_map2(&mut self, f: Binary, a: SlotId, b: SlotId, y: SlotId) {
        let Some(dy) = self.grad_any(y) else { return };
        let (rows, width) = (self.rows(self.slots[y].timed), self.slots[y].width);
        for (which, x) in [a, b].into_iter().enumerate() {
            if !self.slots[x].wanted {
                continue;
            }
            let (dx, add) = self.target(x);
            self.launches.push(Launch::Map2Grad {
                f,
                which,
                a: self.slots[a].place,
                b: self.slots[b].place,
                dy,
                dx,
                rows,
                width,
                add,
            });
        }
    }

    fn back_vec(&mut self, multiply: bool, x: SlotId, param: (usize, usize), y: SlotId) {
        let Some(dy) = self.grad_any(y) else { return };
        let (rows, width) = (self.rows(self.slots[y].timed), self.slots[y].width);
        let (param, row) = param;
        let value = self.slots[x].place;
        if self.trained(param) {
            let products = if multiply {
                let products = self.buffer(rows * width, Elem::F32);
                self.launches.push(Launch::Map2 {
                    f: Binary::Mul,
                    a: value,
                    b: dy,
                    y: products,
                    rows,
                    width,
                });
                products
            } else {
                dy
            };
            self.column_sum(products, param, row, rows, width);
        }
        if !self.slots[x].wanted {
            return;
        }
        if multiply {
            let (dx, add) = self.target(x);
            let p = self
                .param(minrnn_model::graph::Param::at(param))
                .part(row * width, width);
            self.launches.push(Launch::Vec {
                multiply: true,
                x: dy,
                p,
                y: dx,
                rows,
                width,
                add,
            });
        } else {
            let (dx, add) = self.target(x);
            self.copy(dy, dx, add);
        }
    }

    /// The gradient of columns of `x` from columns of the gradient of `y`.
    fn back_columns(&mut self, x: SlotId, to: usize, y: SlotId, from: usize) {
        let Some(dy) = self.grad_any(y).filter(|_| self.slots[x].wanted) else {
            return;
        };
        let width = self.slots[x].width.min(self.slots[y].width);
        let (dx, add) = self.target(x);
        if !add && width < self.slots[x].width {
            self.launches.push(Launch::Zero { to: dx });
        }
        self.launches.push(Launch::CopyColumns {
            from: Columns {
                place: dy,
                stride: self.slots[y].width,
                from,
            },
            to: Columns {
                place: dx,
                stride: self.slots[x].width,
                from: to,
            },
            rows: self.rows(self.slots[x].timed),
            width,
            add,
        });
    }

    fn back_delay(&mut self, taped: Taped) {
        let Taped::Delay {
            x,
            state,
            learned,
            y,
            size,
            lag,
            by,
        } = taped
        else {
            return;
        };
        let Some(dy) = self.grad_any(y) else { return };
        let dstate = learned.map(|_| match self.delay_states.get(&state.index()) {
            Some(known) => *known,
            None => {
                let place = self.buffer(size.batch * lag * size.width, Elem::F32);
                self.launches.push(Launch::Zero { to: place });
                self.delay_states.insert(state.index(), place);
                place
            }
        });
        if !self.slots[x].wanted && dstate.is_none() {
            return;
        }
        let (dx, add) = self.target(x);
        self.launches.push(Launch::DelayGrad {
            dy,
            dx,
            dstate,
            size,
            lag,
            by,
            add,
        });
    }
}
