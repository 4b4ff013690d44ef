//! The selective scan: decay, outer product, recurrence and readout in one kernel.

use minrnn_kernels::Elem;
use minrnn_kernels::selective_scan::{self as kernel, Size, slow};
use minrnn_model::graph::{Fused, Region};

use super::Layer;
use super::begin::{back_first, first};
use super::keep::keep_by_itself;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, scratch};

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    /// f32.
    step: Place,
    x: Place,
    b: Place,
    c: Place,
    log_rates: Place,
    skip: Place,
    h0: Option<Place>,
    size: Size,
}

/// y, and the states that the backward pass begins again from.
#[derive(Debug)]
struct SelectiveScan {
    inputs: Inputs,
    y: Place,
    marks: Option<Place>,
    /// States after the last step, where they are carried on: those of all steps are nowhere.
    last: Option<Place>,
}

/// Its gradients; `dx` may be `dy`, `dstep` may be `step`.
#[derive(Debug)]
struct SelectiveScanGrad {
    inputs: Inputs,
    marks: Option<Place>,
    dy: Place,
    dstep: Place,
    dx: Place,
    db: Place,
    dc: Place,
    dlog_rates: Place,
    dskip: Place,
    dh0: Option<Place>,
    scratch: Place,
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    match fused {
        Fused::SelectiveScan { states, .. } if states <= kernel::MOST_STATES_ON_GPU => Some(scan),
        _ => None,
    }
}

fn scan(p: &mut Planner<'_>, region: &Region) {
    let Fused::SelectiveScan {
        states,
        groups,
        shared,
        ..
    } = region.fused
    else {
        return;
    };
    let compute = p.compute();
    // Step sizes are exact in f32 only: decays are their exponentials.
    let step = p.slot(region.inputs[0]);
    let step = p.cast(step, Elem::F32);
    let [x, b, c] = [1, 2, 3].map(|i| p.computed(region.inputs[i]));
    let begin = first(p, region.states[0]);
    let size = Size {
        batch: p.options.batch,
        time: p.options.time,
        channels: p.slots[x].width,
        states,
        heads: p.slots[step].width,
        groups,
        shared,
    };
    let (rates, skip) = (region.params[0], region.params[1]);
    let inputs = Inputs {
        step: p.read(step),
        x: p.read(x),
        b: p.read(b),
        c: p.read(c),
        log_rates: p.param(rates),
        skip: p.param(skip),
        h0: begin.map(|b| b.0),
        size,
    };
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    let marked = p.options.train && size.marks() > 0;
    let marks = marked.then(|| p.buffer(size.marks(), Elem::F32));
    let last = keep_by_itself(p, region.states[0]);
    p.launch(SelectiveScan {
        inputs,
        y: p.slots[y].place,
        marks,
        last,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let shared = p.slots[y].grad.is_some_and(|grad| grad.shared);
        let dx = match shared {
            true => p.buffer(dy.len, compute),
            false => dy,
        };
        let dstep = p.in_place(step, Elem::F32);
        let [db, dc] = [inputs.b, inputs.c].map(|place| p.buffer(place.len, place.elem));
        let dh0 = inputs.h0.map(|h0| p.buffer(h0.len, Elem::F32));
        let scratch = scratch!(p, |_| kernel::cuda::scratch_len(size));
        let (drates, dskip) = (p.whole(rates), p.whole(skip));
        p.launch(SelectiveScanGrad {
            inputs,
            marks,
            dy,
            dstep,
            dx,
            db,
            dc,
            dlog_rates: drates.to,
            dskip: dskip.to,
            dh0,
            scratch,
        });
        p.add_rest(drates);
        p.add_rest(dskip);
        back_first(p, begin, dh0);
        for (slot, grad) in [(step, dstep), (x, dx), (b, db), (c, dc)] {
            p.give(slot, grad, false);
        }
    });
}

/// The values of what a scan reads.
struct Values {
    step: Vec<f64>,
    x: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    log_rates: Vec<f64>,
    skip: Vec<f64>,
    h0: Vec<f64>,
}

impl Values {
    fn inputs(&self) -> slow::Inputs<'_> {
        slow::Inputs {
            step: &self.step,
            x: &self.x,
            b: &self.b,
            c: &self.c,
            log_rates: &self.log_rates,
            skip: &self.skip,
            h0: &self.h0,
        }
    }
}

impl Inputs {
    fn places(&self) -> Vec<Place> {
        let Self {
            step,
            x,
            b,
            c,
            log_rates,
            skip,
            h0,
            ..
        } = *self;
        let all = [step, x, b, c, log_rates, skip];
        all.into_iter().chain(h0).collect()
    }

    /// On the CPU, in the order of [`Inputs::slices`].
    fn all(&self) -> [Option<Place>; 7] {
        let [step, x, b, c] = [self.step, self.x, self.b, self.c].map(Some);
        [
            step,
            x,
            b,
            c,
            Some(self.log_rates),
            Some(self.skip),
            self.h0,
        ]
    }

    fn slices<'m>(&self, values: [&'m [f32]; 7]) -> kernel::cpu::Inputs<'m, f32> {
        let [step, x, b, c, log_rates, skip, h0] = values;
        let rows = |data, stride| kernel::cpu::Rows { data, stride };
        let size = self.size;
        kernel::cpu::Inputs {
            step: rows(step, size.heads),
            x: rows(x, size.channels),
            b: rows(b, size.read()),
            c: rows(c, size.read()),
            log_rates,
            skip,
            h0: self.h0.map(|_| h0),
        }
    }

    fn read(&self, h: &Host) -> Values {
        let states = self.size.batch * self.size.wide();
        Values {
            step: h.read(self.step),
            x: h.read(self.x),
            b: h.read(self.b),
            c: h.read(self.c),
            log_rates: h.read(self.log_rates),
            skip: h.read(self.skip),
            h0: h.opt(self.h0).unwrap_or_else(|| vec![0.0; states]),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine) -> Result<kernel::cuda::Inputs<'m>> {
        let size = self.size;
        let rows = |place, width| -> Result<kernel::cuda::Rows<'m>> {
            Ok(kernel::cuda::Rows {
                view: m.view(place)?,
                stride: width,
            })
        };
        Ok(kernel::cuda::Inputs {
            step: rows(self.step, size.heads)?,
            x: rows(self.x, size.channels)?,
            b: rows(self.b, size.read())?,
            c: rows(self.c, size.read())?,
            log_rates: m.view(self.log_rates)?,
            skip: m.view(self.skip)?,
            h0: m.opt(self.h0)?,
            size,
        })
    }
}

impl Kernel for SelectiveScan {
    fn places(&self) -> Places {
        Places {
            reads: self.inputs.places(),
            ..places!(=> self.y, self.marks, self.last)
        }
    }
    fn host(&self, h: &mut Host) {
        let values = self.inputs.read(h);
        let size = self.inputs.size;
        let (y, all) = slow::selective_scan(&values.inputs(), size);
        h.write(self.y, &y);
        if let Some(marks) = self.marks {
            h.write(marks, &slow::marks(&all, size));
        }
        if let Some(last) = self.last {
            let rows = all.chunks_exact(size.wide()).skip(size.time - 1);
            let values: Vec<f64> = rows.step_by(size.time).flatten().copied().collect();
            h.write(last, &values);
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        let writes = [Some(self.y), self.marks, self.last];
        let ([step, x, b, c, log_rates, skip, h0], [y, marks, last]) =
            (m.memory).access(self.inputs.all(), writes);
        let inputs = self.inputs.slices([step, x, b, c, log_rates, skip, h0]);
        let marks = self.marks.map(|_| marks);
        let last = self.last.map(|_| last);
        kernel::cpu::forward_f32(&inputs, self.inputs.size, y, last, marks);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let out = kernel::cuda::Out {
            y: m.view(self.y)?,
            last: m.opt(self.last)?.map(|last| (last, None)),
            marks: m.opt(self.marks)?,
        };
        kernel::cuda::forward(&m.gpu, &self.inputs.views(m)?, &out)
    }
}

impl Kernel for SelectiveScanGrad {
    fn places(&self) -> Places {
        let mut places = places!(self.marks, self.dy
            => self.dstep, self.dx, self.db, self.dc, self.dlog_rates, self.dskip, self.dh0; self.scratch);
        places.reads.extend(self.inputs.places());
        places
    }
    fn host(&self, h: &mut Host) {
        let values = self.inputs.read(h);
        let (size, dy) = (self.inputs.size, h.read(self.dy));
        let inputs = values.inputs();
        let (_, all) = slow::selective_scan(&inputs, size);
        let grads = slow::selective_scan_grad(&inputs, &all, &dy, None, size);
        let pairs = [
            (self.dstep, grads.step),
            (self.dx, grads.x),
            (self.db, grads.b),
            (self.dc, grads.c),
            (self.dlog_rates, grads.log_rates),
            (self.dskip, grads.skip),
        ];
        for (place, values) in pairs {
            h.write(place, &values);
        }
        h.write_opt(self.dh0, &grads.h0);
    }
    fn cpu(&self, m: &mut Cpu) {
        let [step, x, b, c, log_rates, skip, h0] = self.inputs.all();
        let reads = [
            step,
            x,
            b,
            c,
            log_rates,
            skip,
            h0,
            self.marks,
            Some(self.dy),
        ];
        // What is read may be what is written: all of it is there before any is stored.
        let (reads, []) = m.memory.access(reads, []);
        let [step, x, b, c, log_rates, skip, h0, marks, dy] = reads;
        let inputs = self.inputs.slices([step, x, b, c, log_rates, skip, h0]);
        let grads = kernel::cpu::backward_f32(&inputs, marks, dy, self.inputs.size);
        let to = [
            self.dstep,
            self.dx,
            self.db,
            self.dc,
            self.dlog_rates,
            self.dskip,
        ];
        let [dstep, dx, db, dc, drates, dskip] = to.map(Some);
        let writes = [dstep, dx, db, dc, drates, dskip, self.dh0];
        let ([], [dstep, dx, db, dc, drates, dskip, dh0]) = m.memory.access([], writes);
        let pairs = [
            (dstep, &grads.step),
            (dx, &grads.x),
            (db, &grads.b),
            (dc, &grads.c),
            (drates, &grads.log_rates),
            (dskip, &grads.skip),
        ];
        pairs
            .into_iter()
            .for_each(|(to, from)| to.copy_from_slice(from));
        if self.dh0.is_some() {
            dh0.copy_from_slice(&grads.h0);
        }
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let size = self.inputs.size;
        let rows = |place, width| -> Result<kernel::cuda::Rows<'_>> {
            Ok(kernel::cuda::Rows {
                view: m.view(place)?,
                stride: width,
            })
        };
        let to = kernel::cuda::Grads {
            step: rows(self.dstep, size.heads)?,
            x: rows(self.dx, size.channels)?,
            b: rows(self.db, size.read())?,
            c: rows(self.dc, size.read())?,
            log_rates: m.view(self.dlog_rates)?,
            skip: m.view(self.dskip)?,
            h0: m.opt(self.dh0)?,
        };
        let saved = kernel::cuda::Saved {
            marks: m.opt(self.marks)?,
            dy: m.view(self.dy)?,
            last: None,
        };
        let scratch = m.view(self.scratch)?;
        kernel::cuda::backward(&m.gpu, &self.inputs.views(m)?, &saved, &to, scratch)
    }
}
