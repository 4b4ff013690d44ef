//! Launches of the forward pass.

use minrnn_kernels::{Candidate, Elem};
use minrnn_model::graph::{Binary, Fused, Op, Param, Region, State, StateInit, Value};
use minrnn_model::layers;

use super::launch::{
    ActivationKind, Cell, Columns, Launch, Map1, Mask, NormKind, Place, Size, Space,
};
use super::plan::{Need, Planner, Slot, SlotId, Target};
use super::taped::Taped;
use super::units::Unit;

impl Planner<'_> {
    /// Adds the launches of a unit.
    pub(super) fn forward(&mut self, unit: Unit) {
        match unit {
            Unit::Region(r) => self.region(r),
            Unit::Node(i) => self.node(i),
            Unit::Embed { node, mask, value } => self.embed(node, Some(mask), value),
            Unit::Sum {
                x,
                branch,
                mask,
                value,
                norm,
            } => self.sum(x, branch, mask, value, norm),
        }
    }

    fn compute(&self) -> Elem {
        self.options.compute
    }

    fn is_output(&self, value: usize) -> bool {
        self.ends.contains(&value)
    }

    fn read(&mut self, slot: SlotId) -> Place {
        self.slots[slot].readers += 1;
        self.slots[slot].place
    }

    /// The value in the compute type.
    fn computed(&mut self, value: Value) -> SlotId {
        let slot = self.slot(value);
        self.cast(slot, self.compute())
    }

    fn size(&self, width: usize) -> Size {
        Size {
            batch: self.options.batch,
            time: self.options.time,
            width,
        }
    }

    /// A mask in training, none otherwise.
    fn mask(&self, mask: Option<Mask>) -> Option<Mask> {
        mask.filter(|_| self.options.train)
    }

    fn embed(&mut self, node: usize, mask: Option<Mask>, value: usize) {
        let Op::Embed { table } = self.graph.nodes()[node].op else {
            unreachable!("units puts embeddings here")
        };
        let mask = self.mask(mask);
        let y = self.make(value, Elem::F32, Elem::F32, true);
        let width = self.slots[y].width;
        self.launches.push(Launch::Embed {
            ids: Place::new(Space::Ids, self.rows(true), Elem::U32),
            table: self.param(table),
            mask,
            y: self.slots[y].place,
            rows: self.rows(true),
            width,
            vocab: self.layout.lens[table.index()] / width,
        });
        self.tape.push(Taped::Embed { table, mask, y });
    }

    fn region(&mut self, index: usize) {
        let region = self.graph.regions()[index].clone();
        match region.fused {
            Fused::Linear { bias } => {
                let bias = bias.then(|| region.params[1]);
                self.linear(
                    region.inputs[0],
                    region.params[0],
                    bias,
                    region.outputs[0].index(),
                );
            }
            Fused::MinGru { candidate } => self.cell(Cell::MinGru(of(candidate)), &region),
            Fused::MinLstm {
                candidate,
                normalize,
            } => self.cell(Cell::MinLstm(of(candidate), normalize), &region),
            Fused::CausalConv { kernel, bias } => self.conv(kernel, bias, &region),
            Fused::RmsNorm { .. } | Fused::LayerNorm { .. } => {
                let x = self.slot(region.inputs[0]);
                self.norm(x, None, &region);
            }
            Fused::GeluErf => self.activation(ActivationKind::GeluErf, &region),
            Fused::GeluTanh => self.activation(ActivationKind::GeluTanh, &region),
            Fused::Silu => self.activation(ActivationKind::Silu, &region),
        }
    }

    fn linear(&mut self, x: Value, weight: Param, bias: Option<Param>, value: usize) {
        let compute = self.compute();
        let x = self.computed(x);
        let out = if self.is_output(value) {
            Elem::F32
        } else {
            compute
        };
        let y = self.make(value, out, compute, true);
        let (k, n) = (self.slots[x].width, self.slots[y].width);
        let a = self.read(x);
        self.launches.push(Launch::Matmul {
            a,
            a_transposed: false,
            b: self.param_as(weight, compute),
            b_transposed: false,
            bias: bias.map(|b| self.param_as(b, out)),
            c: self.slots[y].place,
            m: self.rows(self.slots[x].timed),
            n,
            k,
            add: false,
        });
        if let Some(bias) = bias {
            self.bias_of.insert(y, bias);
        }
        self.tape.push(Taped::Linear { x, weight, bias, y });
    }

    /// The beginning of a state `[B, len]`: nothing for zeros, else the learned vector for each row.
    fn first(&mut self, state: State) -> Option<(Place, Param)> {
        let StateInit::Learned(p) = self.graph.state_spec(state).init else {
            return None;
        };
        let len = self.graph.state_spec(state).len();
        let y = self.buffer(self.options.batch * len, Elem::F32);
        self.launches.push(Launch::Repeat {
            p: self.param(p),
            y,
            rows: self.options.batch,
        });
        Some((y, p))
    }

    fn cell(&mut self, cell: Cell, region: &Region) {
        let compute = self.compute();
        let x = self.computed(region.inputs[0]);
        let h0 = self.first(region.states[0]);
        let h = self.make(region.outputs[0].index(), compute, compute, true);
        self.slots[h].kept = true;
        let size = self.size(self.slots[h].width);
        let scratch = self.scan_scratch(size.width);
        let input = self.read(x);
        self.launches.push(Launch::Cell {
            cell,
            x: input,
            h0: h0.map(|h| h.0),
            h: self.slots[h].place,
            scratch,
            size,
        });
        self.tape.push(Taped::Cell {
            cell,
            x,
            h0,
            h,
            scratch,
            size,
        });
    }

    fn conv(&mut self, kernel: usize, bias: bool, region: &Region) {
        let compute = self.compute();
        let x = self.computed(region.inputs[0]);
        let state = match region.states.first() {
            Some(state) => self.first(*state),
            None => None,
        };
        let y = self.make(region.outputs[0].index(), compute, compute, true);
        let size = self.size(self.slots[y].width);
        let (weight, bias) = (region.params[0], bias.then(|| region.params[1]));
        let input = self.read(x);
        self.launches.push(Launch::Conv {
            x: input,
            state: state.map(|s| s.0),
            weight: self.param(weight),
            bias: bias.map(|b| self.param(b)),
            y: self.slots[y].place,
            size,
            kernel,
        });
        self.tape.push(Taped::Conv {
            x,
            state,
            weight,
            bias,
            y,
            size,
            kernel,
        });
    }

    fn activation(&mut self, kind: ActivationKind, region: &Region) {
        let compute = self.compute();
        let x = self.computed(region.inputs[0]);
        let y = self.make(region.outputs[0].index(), compute, compute, true);
        let input = self.read(x);
        self.launches.push(Launch::Activation {
            kind,
            x: input,
            y: self.slots[y].place,
        });
        self.tape.push(Taped::Activation { kind, x, y });
    }

    fn norm(&mut self, s: SlotId, branch: Option<(SlotId, SlotId, Option<Mask>)>, region: &Region) {
        let (kind, eps) = match region.fused {
            Fused::RmsNorm { eps } => (NormKind::Rms, eps),
            Fused::LayerNorm { eps } => (NormKind::Layer, eps),
            _ => unreachable!("called for normalisations"),
        };
        let compute = self.compute();
        let y = self.make(region.outputs[0].index(), compute, compute, true);
        let (rows, width) = (self.rows(self.slots[s].timed), self.slots[s].width);
        let stats = self.buffer(rows * 2, Elem::F32);
        let (weight, bias) = (region.params[0], region.params.get(1).copied());
        let sum = self.slots[s].place;
        let (x, with) = match branch {
            None => (self.read(s), None),
            Some((x, a, mask)) => (self.read(x), Some((self.read(a), mask, sum))),
        };
        self.launches.push(Launch::Norm {
            kind,
            x,
            branch: with,
            weight: self.param(weight),
            bias: bias.map(|b| self.param(b)),
            eps,
            y: self.slots[y].place,
            stats,
            rows,
            width,
        });
        self.tape.push(Taped::Norm {
            kind,
            s,
            branch,
            weight,
            bias,
            stats,
            y,
        });
    }

    fn sum(
        &mut self,
        x: Option<Value>,
        branch: Value,
        mask: Option<Mask>,
        value: usize,
        norm: Option<usize>,
    ) {
        let mask = self.mask(mask);
        let Some(x) = x.map(|x| self.slot(x)) else {
            return self.dropped(branch, mask, value);
        };
        let a = self.slot(branch);
        // The branch is what a layer made, in the compute type; what runs along is a sum in f32.
        let compute = self.compute();
        let (x, a) = if mask.is_none() && self.slots[a].place.elem != compute {
            (a, x)
        } else {
            (x, a)
        };
        if self.slots[a].place.elem != compute {
            return self.wide_sum(x, a, mask, value, norm);
        }
        let x = self.cast(x, Elem::F32);
        let s = self.make(value, Elem::F32, Elem::F32, true);
        if let Some(region) = norm {
            let region = self.graph.regions()[region].clone();
            return self.norm(s, Some((x, a, mask)), &region);
        }
        let (left, right) = (self.read(x), self.read(a));
        self.launches.push(Launch::AddDropout {
            x: Some(left),
            a: right,
            mask,
            y: self.slots[s].place,
        });
        self.tape.push(Taped::Sum {
            x: Some(x),
            a,
            mask,
            y: s,
        });
    }

    /// A sum of two values that are both wider than the compute type, in primitives.
    fn wide_sum(
        &mut self,
        x: SlotId,
        a: SlotId,
        mask: Option<Mask>,
        value: usize,
        norm: Option<usize>,
    ) {
        let a = if mask.is_some() {
            let branch = self.slots[a];
            let place = self.buffer(branch.place.len, branch.place.elem);
            let dropped = self.push(Slot { place, ..branch });
            self.drop_into(a, mask, dropped);
            dropped
        } else {
            a
        };
        self.map2(Binary::Add, x, a, value);
        if let Some(region) = norm {
            let region = self.graph.regions()[region].clone();
            let s = self.slot(region.inputs[0]);
            self.norm(s, None, &region);
        }
    }

    fn drop_into(&mut self, a: SlotId, mask: Option<Mask>, y: SlotId) {
        let input = self.read(a);
        self.launches.push(Launch::AddDropout {
            x: None,
            a: input,
            mask,
            y: self.slots[y].place,
        });
        self.tape.push(Taped::Sum {
            x: None,
            a,
            mask,
            y,
        });
    }

    /// Dropout alone.
    fn dropped(&mut self, branch: Value, mask: Option<Mask>, value: usize) {
        let a = self.slot(branch);
        if mask.is_none() {
            return self.alias(value, a);
        }
        let elem = self.slots[a].place.elem;
        let y = self.make(value, elem, self.slots[a].grad_elem, self.slots[a].wanted);
        self.drop_into(a, mask, y);
    }

    fn node(&mut self, i: usize) {
        let node = self.graph.nodes()[i].clone();
        if matches!(node.op, Op::Input) {
            return;
        }
        let x = self.slot(node.inputs[0]);
        match node.op {
            Op::Input => {}
            Op::Embed { .. } => self.embed(i, None, i),
            Op::MatMul { .. } => {
                if let Some(weight) = self.graph.weight(&node) {
                    self.linear(node.inputs[0], weight, None, i);
                }
            }
            Op::Unary(f) => self.map1(Map1::Unary(f), x, i),
            Op::Affine { mul, add } => self.map1(Map1::Affine { mul, add }, x, i),
            Op::Binary(f) => match self.graph.as_row(node.inputs[1]) {
                Some((param, row)) => self.vec(f == Binary::Mul, x, param, row, i),
                None => self.map2(f, x, self.slot(node.inputs[1]), i),
            },
            Op::Reduce { .. } => self.mean(x, i),
            Op::Narrow { start, .. } => self.narrow(x, start, i),
            Op::Concat => {
                let parts: Vec<SlotId> = node.inputs.iter().map(|v| self.slot(*v)).collect();
                self.concat(&parts, i);
            }
            Op::Delay { state, by } => self.delay(x, state, by, i),
            Op::Recur { state, .. } => self.recur(x, self.slot(node.inputs[1]), state, i),
            Op::Last => self.last(x, i),
            // Dropouts are sums by now; the others are read where they are, or refused before.
            Op::Dropout { .. }
            | Op::Param { .. }
            | Op::Const { .. }
            | Op::Row { .. }
            | Op::Repeat { .. } => {}
        }
    }

    /// A slot of the type of `x` for node `value`.
    fn like(&mut self, x: SlotId, value: usize) -> SlotId {
        let Slot3(elem, grad, wanted) = self.kind(x);
        self.make(value, elem, grad, wanted)
    }

    fn kind(&self, x: SlotId) -> Slot3 {
        let slot = &self.slots[x];
        let elem = if slot.place.elem == Elem::U32 {
            Elem::F32
        } else {
            slot.place.elem
        };
        Slot3(elem, elem, slot.wanted)
    }

    fn vec(&mut self, multiply: bool, x: SlotId, param: Param, row: usize, value: usize) {
        let y = self.like(x, value);
        let trained = self.layout.trained.contains(&param.index());
        self.slots[y].wanted |= trained;
        let width = self.slots[y].width;
        let input = self.read(x);
        self.launches.push(Launch::Vec {
            multiply,
            x: input,
            p: self.param(param).part(row * width, width),
            y: self.slots[y].place,
            rows: self.rows(self.slots[y].timed),
            width,
            add: false,
        });
        self.tape.push(Taped::Vec {
            multiply,
            x,
            param,
            row,
            y,
        });
    }

    fn map1(&mut self, f: Map1, x: SlotId, value: usize) {
        let wanted = self.slots[x].wanted;
        let y = self.make(value, Elem::F32, Elem::F32, wanted);
        let input = self.read(x);
        self.launches.push(Launch::Map1 {
            f,
            x: input,
            y: self.slots[y].place,
            add: false,
        });
        self.tape.push(Taped::Map1 { f, x, y });
    }

    fn map2(&mut self, f: Binary, a: SlotId, b: SlotId, value: usize) {
        let both = self.slots[a].place.elem == self.slots[b].place.elem;
        let elem = match (f, both) {
            (Binary::Mul, true) => self.slots[a].place.elem,
            _ => Elem::F32,
        };
        let wanted = self.slots[a].wanted || self.slots[b].wanted;
        let y = self.make(value, elem, elem, wanted);
        let (left, right) = (self.read(a), self.read(b));
        self.launches.push(Launch::Map2 {
            f,
            a: left,
            b: right,
            y: self.slots[y].place,
            rows: self.rows(self.slots[y].timed),
            width: self.slots[y].width,
        });
        self.tape.push(Taped::Map2 { f, a, b, y });
    }

    fn mean(&mut self, x: SlotId, value: usize) {
        let wanted = self.slots[x].wanted;
        let y = self.make(value, Elem::F32, Elem::F32, wanted);
        let input = self.read(x);
        self.launches.push(Launch::Mean {
            x: input,
            y: self.slots[y].place,
            rows: self.rows(self.slots[x].timed),
            width: self.slots[x].width,
        });
        self.tape.push(Taped::Mean { x, y });
    }

    fn columns(&self, slot: SlotId, from: usize) -> Columns {
        Columns {
            place: self.slots[slot].place,
            stride: self.slots[slot].width,
            from,
        }
    }

    fn narrow(&mut self, x: SlotId, start: usize, value: usize) {
        let y = self.like(x, value);
        self.read(x);
        self.launches.push(Launch::CopyColumns {
            from: self.columns(x, start),
            to: self.columns(y, 0),
            rows: self.rows(self.slots[x].timed),
            width: self.slots[y].width,
            add: false,
        });
        self.tape.push(Taped::Narrow { x, start, y });
    }

    fn concat(&mut self, parts: &[SlotId], value: usize) {
        let first = self.slots[parts[0]].place.elem;
        let same = parts.iter().all(|p| self.slots[*p].place.elem == first);
        let elem = if same { first } else { Elem::F32 };
        let wanted = parts.iter().any(|p| self.slots[*p].wanted);
        let y = self.make(value, elem, elem, wanted);
        let mut from = 0;
        for part in parts {
            self.read(*part);
            self.launches.push(Launch::CopyColumns {
                from: self.columns(*part, 0),
                to: self.columns(y, from),
                rows: self.rows(self.slots[y].timed),
                width: self.slots[*part].width,
                add: false,
            });
            from += self.slots[*part].width;
        }
        let parts = parts.to_vec();
        self.tape.push(Taped::Concat { parts, y });
    }

    fn delay(&mut self, x: SlotId, state: State, by: usize, value: usize) {
        let y = self.like(x, value);
        let first = self.first(state);
        let lag = self.graph.state_spec(state).lag().unwrap_or(0);
        let size = self.size(self.slots[y].width);
        let input = self.read(x);
        self.launches.push(Launch::Delay {
            x: input,
            state: first.map(|f| f.0),
            y: self.slots[y].place,
            size,
            lag,
            by,
        });
        self.tape.push(Taped::Delay {
            x,
            state,
            learned: first.map(|f| f.1),
            y,
            size,
            lag,
            by,
        });
    }

    fn recur(&mut self, a: SlotId, b: SlotId, state: State, value: usize) {
        let a = self.cast(a, Elem::F32);
        let h0 = self.first(state);
        let h = self.like(b, value);
        self.slots[h].kept = true;
        self.slots[h].wanted |= self.slots[a].wanted || h0.is_some();
        let size = self.size(self.slots[h].width);
        let scratch = self.scan_scratch(size.width);
        let (left, right) = (self.read(a), self.read(b));
        self.launches.push(Launch::Scan {
            a: left,
            b: right,
            h0: h0.map(|h| h.0),
            h: self.slots[h].place,
            scratch,
            size,
        });
        self.tape.push(Taped::Scan {
            a,
            b,
            h0,
            h,
            scratch,
            size,
        });
    }

    fn last(&mut self, x: SlotId, value: usize) {
        let y = self.like(x, value);
        let size = self.size(self.slots[y].width);
        let lens = Place::new(Space::Lens, self.options.batch, Elem::U32);
        let input = self.read(x);
        self.launches.push(Launch::Last {
            x: input,
            lens: self.options.lens.then_some(lens),
            y: self.slots[y].place,
            size,
        });
        self.tape.push(Taped::Last { x, y, size });
    }

    /// The loss, with the gradient of the output in training.
    pub(super) fn loss(&mut self, output: SlotId) {
        let slot = self.slots[output];
        let (rows, width) = (self.rows(slot.timed), slot.width);
        let weights = Place::new(Space::Weights, rows, Elem::F32);
        let weights = self.options.weights.then_some(weights);
        let loss = Place::new(Space::Loss, 1, Elem::F32);
        let y = slot.place;
        if self.options.target == Target::None {
            return;
        }
        if self.options.target == Target::Classes && !self.options.train {
            let correct = Launch::Correct {
                logits: y,
                targets: Place::new(Space::Targets, rows, Elem::U32),
                weights,
                out: Place::new(Space::Correct, 1, Elem::U32),
                scratch: self.scratch(Need::CrossEntropy { rows, width }),
                rows,
                width,
            };
            self.launches.push(correct);
        }
        let dy = self.options.train.then(|| self.output_gradient(output));
        let launch = if self.options.target == Target::Classes {
            Launch::CrossEntropy {
                logits: y,
                targets: Place::new(Space::Targets, rows, Elem::U32),
                weights,
                loss,
                dlogits: dy,
                scratch: self.scratch(Need::CrossEntropy { rows, width }),
                rows,
                width,
            }
        } else {
            let targets = Place::new(Space::TargetValues, rows * width, Elem::F32);
            Launch::MeanSquare {
                y,
                targets: (self.options.target == Target::Values).then_some(targets),
                weights,
                loss,
                dy,
                scratch: self.scratch(Need::MeanSquare { rows, width }),
                rows,
                width,
            }
        };
        self.launches.push(launch);
    }

    fn output_gradient(&mut self, output: SlotId) -> Place {
        let slot = self.slots[output];
        let place = self.buffer(slot.place.len, slot.grad_elem);
        self.slots[output].grad = Some(super::plan::Grad {
            place,
            shared: false,
        });
        place
    }
}

/// Type, type of the gradient, whether one is wanted.
struct Slot3(Elem, Elem, bool);

fn of(candidate: layers::Candidate) -> Candidate {
    match candidate {
        layers::Candidate::G => Candidate::G,
        layers::Candidate::Linear => Candidate::Linear,
    }
}
