//! GRU and LSTM: the product of the input is one for all steps; that of the state, the gates and the feedback are one kernel.

use minrnn_kernels::Elem;
use minrnn_kernels::feedback::{self as kernel, Feedback, Size, slow};
use minrnn_model::graph::{Fused, Param, Region};

use super::Layer;
use super::begin::{back_first, first, learned};
use super::column_sum::column_sum;
use super::keep::keep_by_itself;
use super::linear::{linear, weight_grad};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{First, Planner, SlotId};

/// What a cell reads, f32.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    kind: Feedback,
    /// The products of the input, with their bias.
    x: Place,
    weight: Place,
    bias: Option<Place>,
    h0: Option<Place>,
    c0: Option<Place>,
    size: Size,
}

/// h of all steps.
#[derive(Debug)]
struct Cell {
    inputs: Inputs,
    h: Place,
    /// What the backward pass needs.
    saved: Option<Place>,
    /// c after the last step, where it is carried on.
    last: Option<Place>,
}

/// Its gradients.
#[derive(Debug)]
struct CellGrad {
    inputs: Inputs,
    h: Place,
    saved: Place,
    dh: Place,
    dx: Place,
    /// Of the products of the state, where it is not that of x.
    dmoved: Option<Place>,
    before: Place,
    dh0: Option<Place>,
    dc0: Option<Place>,
}

fn kind(fused: Fused) -> Option<(Feedback, bool)> {
    match fused {
        Fused::Gru { bias } => Some((Feedback::Gru, bias)),
        Fused::Lstm { bias } => Some((Feedback::Lstm, bias)),
        _ => None,
    }
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    kind(fused).map(|_| cell as Layer)
}

/// The products of the input: the linear layer that the region begins with.
fn products(p: &mut Planner<'_>, region: &Region, bias: Option<Param>) -> SlotId {
    let mut regions = p.graph.regions().iter();
    let inner = |r: &&Region| {
        let within = r.nodes.start == region.nodes.start && r.nodes.end < region.nodes.end;
        within && matches!(r.fused, Fused::Linear { .. })
    };
    let packed = regions.find(inner).map(|r| r.outputs[0]);
    let packed = packed.expect("both begin with the products of the input");
    let weight = (region.params[0], false);
    linear(p, region.inputs[0], weight, bias, packed.index());
    let made = p.slot(packed);
    p.cast(made, Elem::F32)
}

fn cell(p: &mut Planner<'_>, region: &Region) {
    let Some((kind, biased)) = kind(region.fused) else {
        return;
    };
    // Matrix and bias of the input, then those of the state.
    let each = 1 + usize::from(biased);
    let bias = |of: usize| biased.then(|| region.params[of * each + 1]);
    let (weight, own_bias) = (region.params[each], bias(1));
    let x = products(p, region, bias(0));
    let begins: Vec<First> = region.states.iter().map(|s| first(p, *s)).collect();
    let begin = |i: usize| begins.get(i).copied().flatten();
    let y = p.make(region.outputs[0].index(), Elem::F32, Elem::F32, true);
    p.slots[y].kept = true;
    let size = Size {
        batch: p.options.batch,
        time: p.options.time,
        channels: p.slots[y].width,
    };
    let inputs = Inputs {
        kind,
        x: p.read(x),
        weight: p.param(weight),
        bias: own_bias.map(|b| p.param(b)),
        h0: begin(0).map(|b| b.0),
        c0: begin(1).map(|b| b.0),
        size,
    };
    let saved = (p.options.train).then(|| p.buffer(size.saved(kind), Elem::F32));
    let last = match region.states.get(1) {
        Some(c) => keep_by_itself(p, *c),
        None => None,
    };
    let h = p.slots[y].place;
    p.launch(Cell {
        inputs,
        h,
        saved,
        last,
    });
    let Some(saved) = saved else { return };
    let begins = [begin(0), begin(1)];
    p.back(move |p| {
        let Some(dh) = p.grad(y, Elem::F32) else {
            return;
        };
        let dx = p.buffer(inputs.x.len, Elem::F32);
        let dmoved = (kind == Feedback::Gru).then(|| p.buffer(dx.len, Elem::F32));
        let before = p.buffer(h.len, Elem::F32);
        let firsts = begins.map(|b| learned(b).map(|(b, _)| p.buffer(b.len, Elem::F32)));
        p.launch(CellGrad {
            inputs,
            h,
            saved,
            dh,
            dx,
            dmoved,
            before,
            dh0: firsts[0],
            dc0: firsts[1],
        });
        let (rows, d) = (size.batch * size.time, size.channels);
        let (moved, columns) = (dmoved.unwrap_or(dx), kind.parts() * d);
        weight_grad(p, (before, moved), weight, [rows, d, columns]);
        if let Some(bias) = own_bias {
            column_sum(p, moved, bias, 0, rows, columns);
        }
        for (begin, grad) in begins.into_iter().zip(firsts) {
            back_first(p, begin, grad);
        }
        p.give(x, dx, false);
    });
}

/// The values of what a cell reads; empty: absent.
struct Values([Vec<f64>; 5]);

impl Values {
    fn inputs(&self) -> slow::Inputs<'_> {
        let [x, weight, bias, h0, c0] = &self.0;
        slow::Inputs {
            x,
            weight,
            bias,
            h0,
            c0,
        }
    }
}

impl Inputs {
    fn all(&self) -> [Option<Place>; 5] {
        [Some(self.x), Some(self.weight), self.bias, self.h0, self.c0]
    }

    fn read(&self, h: &Host) -> Values {
        Values(self.all().map(|place| h.opt(place).unwrap_or_default()))
    }

    fn slices<'m>(&self, [x, weight, bias, h0, c0]: [&'m [f32]; 5]) -> kernel::cpu::Inputs<'m> {
        kernel::cpu::Inputs {
            x,
            weight,
            bias: self.bias.map(|_| bias),
            h0: self.h0.map(|_| h0),
            c0: self.c0.map(|_| c0),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine) -> Result<kernel::cuda::Inputs<'m>> {
        Ok(kernel::cuda::Inputs {
            x: m.view(self.x)?,
            weight: m.view(self.weight)?,
            bias: m.opt(self.bias)?,
            h0: m.opt(self.h0)?,
            c0: m.opt(self.c0)?,
        })
    }
}

impl Kernel for Cell {
    fn title(&self) -> String {
        format!("{:?}", self.inputs.kind)
    }
    fn places(&self) -> Places {
        Places {
            reads: self.inputs.all().into_iter().flatten().collect(),
            ..places!(=> self.h, self.saved, self.last)
        }
    }
    fn host(&self, h: &mut Host) {
        let (values, Inputs { kind, size, .. }) = (self.inputs.read(h), self.inputs);
        let out = slow::forward(kind, &values.inputs(), size);
        h.write(self.h, &out.h);
        h.write_opt(self.saved, &out.saved);
        // c is the last of what is saved.
        let each = size.saved(kind) / (size.batch * size.time);
        let ends = out.saved.chunks_exact(size.time * each);
        let last: Vec<f64> = ends
            .flat_map(|row| &row[row.len() - size.channels..])
            .copied()
            .collect();
        h.write_opt(self.last, &last);
    }
    fn cpu(&self, m: &mut Cpu) {
        let writes = [Some(self.h), self.saved, self.last];
        let (reads, [h, saved, last]) = m.memory.access(self.inputs.all(), writes);
        let Inputs { kind, size, .. } = self.inputs;
        kernel::cpu::forward(kind, &self.inputs.slices(reads), size, h, saved, last);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let to = kernel::cuda::Outputs {
            h: m.view(self.h)?,
            saved: m.opt(self.saved)?,
            last: m.opt(self.last)?,
        };
        let Inputs { kind, size, .. } = self.inputs;
        kernel::cuda::forward(&m.gpu, kind, &self.inputs.views(m)?, size, &to)
    }
}

impl Kernel for CellGrad {
    fn title(&self) -> String {
        format!("{:?}Grad", self.inputs.kind)
    }
    fn places(&self) -> Places {
        let mut places = places!(self.h, self.saved, self.dh
            => self.dx, self.dmoved, self.before, self.dh0, self.dc0);
        places.reads.extend(self.inputs.all().into_iter().flatten());
        places
    }
    fn host(&self, h: &mut Host) {
        let (values, Inputs { kind, size, .. }) = (self.inputs.read(h), self.inputs);
        let out = slow::Output {
            h: h.read(self.h),
            saved: h.read(self.saved),
        };
        let grads = slow::backward(kind, &values.inputs(), &out, &h.read(self.dh), size);
        h.write(self.dx, &grads.x);
        h.write_opt(self.dmoved, &grads.moved);
        h.write(self.before, &grads.before);
        h.write_opt(self.dh0, &grads.h0);
        h.write_opt(self.dc0, &grads.c0);
    }
    fn cpu(&self, m: &mut Cpu) {
        let [x, weight, bias, h0, c0] = self.inputs.all();
        let own = [self.h, self.saved, self.dh].map(Some);
        let reads = [x, weight, bias, h0, c0, own[0], own[1], own[2]];
        let writes = [
            Some(self.dx),
            self.dmoved,
            Some(self.before),
            self.dh0,
            self.dc0,
        ];
        let (reads, [dx, dmoved, before, dh0, dc0]) = m.memory.access(reads, writes);
        let [x, weight, bias, h0, c0, h, saved, dh] = reads;
        let inputs = self.inputs.slices([x, weight, bias, h0, c0]);
        let to = kernel::cpu::Grads {
            x: dx,
            moved: dmoved,
            before,
            h0: dh0,
            c0: dc0,
        };
        let Inputs { kind, size, .. } = self.inputs;
        kernel::cpu::backward(kind, &inputs, size, [h, saved, dh], to);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let to = kernel::cuda::Grads {
            x: m.view(self.dx)?,
            moved: m.opt(self.dmoved)?,
            before: m.view(self.before)?,
            h0: m.opt(self.dh0)?,
            c0: m.opt(self.dc0)?,
        };
        let given = [m.view(self.h)?, m.view(self.saved)?, m.view(self.dh)?];
        let Inputs { kind, size, .. } = self.inputs;
        kernel::cuda::backward(&m.gpu, kind, &self.inputs.views(m)?, size, given, &to)
    }
}
