//! The diagonal scan: discretisation, complex recurrence and readout in one kernel.

use minrnn_kernels::Elem;
use minrnn_kernels::diagonal_scan::{self as kernel, Size, slow};
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

/// What a scan reads; the parameters are log_dt, A_log, A_im, C, D.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    x: Place,
    params: [Place; 5],
    h0: Option<Place>,
    size: Size,
}

/// y, and the states that the backward pass begins again from.
#[derive(Debug)]
struct DiagonalScan {
    inputs: Inputs,
    y: Place,
    marks: Option<Place>,
    /// States after the last step, where they are carried on: those of all steps are nowhere.
    last: Option<Place>,
    scratch: Place,
}

/// Its gradients.
#[derive(Debug)]
struct DiagonalScanGrad {
    inputs: Inputs,
    marks: Option<Place>,
    dy: Place,
    dx: Place,
    dparams: [Place; 5],
    dh0: Option<Place>,
    scratch: Place,
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    match fused {
        Fused::DiagonalScan { states } if states <= kernel::MOST_STATES_ON_GPU => Some(scan),
        _ => None,
    }
}

fn scan(p: &mut Planner<'_>, region: &Region) {
    let Fused::DiagonalScan { states } = region.fused else {
        return;
    };
    let compute = p.compute();
    let x = p.computed(region.inputs[0]);
    let begin = first(p, region.states[0]);
    let size = Size {
        batch: p.options.batch,
        time: p.options.time,
        channels: p.slots[x].width,
        pairs: states / 2,
    };
    let params = [0, 1, 2, 3, 4].map(|i| region.params[i]);
    let inputs = Inputs {
        x: p.read(x),
        params: params.map(|param| p.param(param)),
        h0: begin.map(|b| b.0),
        size,
    };
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    let marked = p.options.train && size.marks() > 0;
    let marks = marked.then(|| p.buffer(size.marks(), Elem::F32));
    let last = keep_by_itself(p, region.states[0]);
    let scratch = scratch!(p, |_| kernel::cuda::forward_scratch_len(size));
    p.launch(DiagonalScan {
        inputs,
        y: p.slots[y].place,
        marks,
        last,
        scratch,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let dx = p.buffer(inputs.x.len, compute);
        let dh0 = inputs.h0.map(|h0| p.buffer(h0.len, Elem::F32));
        let scratch = scratch!(p, |_| kernel::cuda::scratch_len(size));
        let whole = params.map(|param| p.whole(param));
        p.launch(DiagonalScanGrad {
            inputs,
            marks,
            dy,
            dx,
            dparams: whole.map(|whole| whole.to),
            dh0,
            scratch,
        });
        whole.into_iter().for_each(|whole| p.add_rest(whole));
        back_first(p, begin, dh0);
        p.give(x, dx, false);
    });
}

/// The values of what a scan reads.
struct Values {
    x: Vec<f64>,
    params: [Vec<f64>; 5],
    h0: Vec<f64>,
}

impl Values {
    fn inputs(&self) -> slow::Inputs<'_> {
        let [log_step, log_rates, frequencies, readout, skip] = &self.params;
        slow::Inputs {
            x: &self.x,
            log_step,
            log_rates,
            frequencies,
            readout,
            skip,
            h0: &self.h0,
        }
    }
}

impl Inputs {
    fn places(&self) -> Vec<Place> {
        let all = [self.x].into_iter().chain(self.params);
        all.chain(self.h0).collect()
    }

    /// On the CPU, in the order of [`Inputs::slices`].
    fn all(&self) -> [Option<Place>; 7] {
        let [a, b, c, d, e] = self.params.map(Some);
        [Some(self.x), a, b, c, d, e, self.h0]
    }

    fn slices<'m>(&self, values: [&'m [f32]; 7]) -> kernel::cpu::Inputs<'m, f32> {
        let [x, log_step, log_rates, frequencies, readout, skip, h0] = values;
        kernel::cpu::Inputs {
            x,
            log_step,
            log_rates,
            frequencies,
            readout,
            skip,
            h0: self.h0.map(|_| h0),
        }
    }

    fn read(&self, h: &Host) -> Values {
        let states = self.size.batch * self.size.state();
        Values {
            x: h.read(self.x),
            params: self.params.map(|param| h.read(param)),
            h0: h.opt(self.h0).unwrap_or_else(|| vec![0.0; states]),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine) -> Result<kernel::cuda::Inputs<'m>> {
        let [log_step, log_rates, frequencies, readout, skip] = self.params;
        Ok(kernel::cuda::Inputs {
            x: m.view(self.x)?,
            log_step: m.view(log_step)?,
            log_rates: m.view(log_rates)?,
            frequencies: m.view(frequencies)?,
            readout: m.view(readout)?,
            skip: m.view(skip)?,
            h0: m.opt(self.h0)?,
            size: self.size,
        })
    }
}

impl Kernel for DiagonalScan {
    fn places(&self) -> Places {
        Places {
            reads: self.inputs.places(),
            ..places!(=> self.y, self.marks, self.last; self.scratch)
        }
    }
    fn host(&self, h: &mut Host) {
        let values = self.inputs.read(h);
        let size = self.inputs.size;
        let (y, all) = slow::diagonal_scan(&values.inputs(), size);
        h.write(self.y, &y);
        if let Some(marks) = self.marks {
            h.write(marks, &slow::marks(&all, size));
        }
        if let Some(last) = self.last {
            let rows = all.chunks_exact(size.state()).skip(size.time - 1);
            let values: Vec<f64> = rows.step_by(size.time).flatten().copied().collect();
            h.write(last, &values);
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        let writes = [Some(self.y), self.marks, self.last];
        let (reads, [y, marks, last]) = (m.memory).access(self.inputs.all(), writes);
        let inputs = self.inputs.slices(reads);
        let (marks, last) = (self.marks.map(|_| marks), self.last.map(|_| last));
        kernel::cpu::forward_f32(&inputs, self.inputs.size, y, last, marks);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let out = kernel::cuda::Out {
            y: m.view(self.y)?,
            last: m.opt(self.last)?.map(|last| (last, None)),
            marks: m.opt(self.marks)?,
        };
        let scratch = m.view(self.scratch)?;
        kernel::cuda::forward(&m.gpu, &self.inputs.views(m)?, &out, scratch)
    }
}

impl Kernel for DiagonalScanGrad {
    fn places(&self) -> Places {
        let mut places = places!(self.marks, self.dy => self.dx, self.dh0; self.scratch);
        places.reads.extend(self.inputs.places());
        places.writes.extend(self.dparams);
        places
    }
    fn host(&self, h: &mut Host) {
        let values = self.inputs.read(h);
        let (size, dy) = (self.inputs.size, h.read(self.dy));
        let inputs = values.inputs();
        let (_, all) = slow::diagonal_scan(&inputs, size);
        let grads = slow::diagonal_scan_grad(&inputs, &all, &dy, None, size);
        h.write(self.dx, &grads.x);
        let params = [
            grads.log_step,
            grads.log_rates,
            grads.frequencies,
            grads.readout,
            grads.skip,
        ];
        for (place, values) in self.dparams.iter().zip(&params) {
            h.write(*place, values);
        }
        h.write_opt(self.dh0, &grads.h0);
    }
    fn cpu(&self, m: &mut Cpu) {
        let [x, a, b, c, d, e, h0] = self.inputs.all();
        let reads = [x, a, b, c, d, e, h0, self.marks, Some(self.dy)];
        let [da, db, dc, dd, de] = self.dparams.map(Some);
        let writes = [Some(self.dx), da, db, dc, dd, de, self.dh0];
        let (reads, written) = m.memory.access(reads, writes);
        let [x, a, b, c, d, e, h0, marks, dy] = reads;
        let inputs = self.inputs.slices([x, a, b, c, d, e, h0]);
        let [dx, log_step, log_rates, frequencies, readout, skip, dh0] = written;
        let to = kernel::cpu::Grads {
            x: dx,
            log_step,
            log_rates,
            frequencies,
            readout,
            skip,
            h0: self.dh0.map(|_| dh0),
        };
        kernel::cpu::backward_f32(&inputs, marks, dy, self.inputs.size, to);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let [log_step, log_rates, frequencies, readout, skip] = self.dparams;
        let to = kernel::cuda::Grads {
            x: m.view(self.dx)?,
            log_step: m.view(log_step)?,
            log_rates: m.view(log_rates)?,
            frequencies: m.view(frequencies)?,
            readout: m.view(readout)?,
            skip: m.view(skip)?,
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
