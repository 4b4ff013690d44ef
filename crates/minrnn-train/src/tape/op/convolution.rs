//! Convolutions whose taps are values: as many as the sequence has steps.

use minrnn_kernels::Elem;
use minrnn_kernels::convolution::{self as kernel, Size, slow};
use minrnn_model::graph::{Node, Op};

use super::begin::first;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, scratch};

/// What a convolution reads.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    x: Place,
    /// The rows before the run, f32, where they are not zeros.
    window: Option<Place>,
    /// f32.
    taps: Place,
    size: Size,
}

/// `y[t] = sum_j taps[j] x[t - j]`.
#[derive(Debug)]
struct Convolution {
    inputs: Inputs,
    y: Place,
}

/// Its gradients. The rows before the run get none.
#[derive(Debug)]
struct ConvolutionGrad {
    inputs: Inputs,
    dy: Place,
    dx: Place,
    dtaps: Place,
    scratch: Place,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Conv { state } = node.op else {
        return None;
    };
    let taps = p.made(node.inputs[1])?;
    let compute = p.compute();
    let x = p.computed(node.inputs[0]);
    let window = first(p, state).map(|begin| begin.0);
    let wanted = p.slots[x].wanted || p.slots[taps].wanted;
    let y = p.make(value, compute, compute, wanted);
    let size = Size {
        batch: p.options.batch,
        time: p.options.time,
        channels: p.slots[y].width,
        taps: p.slots[taps].rows,
    };
    let inputs = Inputs {
        x: p.read(x),
        window,
        taps: p.read(taps),
        size,
    };
    let out = p.slots[y].place;
    p.launch(Convolution { inputs, y: out });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let dx = p.buffer(inputs.x.len, compute);
        let dtaps = p.buffer(inputs.taps.len, Elem::F32);
        let scratch = scratch!(p, |_| kernel::cuda::scratch_len(size));
        p.launch(ConvolutionGrad {
            inputs,
            dy,
            dx,
            dtaps,
            scratch,
        });
        p.give(taps, dtaps, false);
        p.give(x, dx, false);
    });
    Some(())
}

impl Inputs {
    fn places(self) -> [Option<Place>; 3] {
        [Some(self.x), self.window, Some(self.taps)]
    }

    fn given<'a>(self, [x, window, taps]: [&'a [f32]; 3]) -> kernel::cpu::Given<'a> {
        kernel::cpu::Given {
            x,
            window: self.window.map(|_| window),
            taps,
            size: self.size,
        }
    }
}

impl Kernel for Convolution {
    fn places(&self) -> Places {
        let Inputs {
            x, window, taps, ..
        } = self.inputs;
        places!(x, window, taps => self.y)
    }
    fn host(&self, h: &mut Host) {
        let from = self.inputs;
        let (x, window, taps) = (h.read(from.x), h.opt(from.window), h.read(from.taps));
        h.write(
            self.y,
            &slow::convolution(&x, window.as_deref(), &taps, from.size),
        );
    }
    fn cpu(&self, m: &mut Cpu) {
        let (reads, [y]) = m.memory.access(self.inputs.places(), [Some(self.y)]);
        kernel::cpu::forward(self.inputs.given(reads), y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let from = self.inputs;
        let (x, taps, y) = (m.view(from.x)?, m.view(from.taps)?, m.view(self.y)?);
        kernel::cuda::forward(&m.gpu, x, m.opt(from.window)?, taps, y, from.size)
    }
}

impl Kernel for ConvolutionGrad {
    fn places(&self) -> Places {
        let Inputs {
            x, window, taps, ..
        } = self.inputs;
        places!(x, window, taps, self.dy => self.dx, self.dtaps; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let from = self.inputs;
        let (x, window, taps) = (h.read(from.x), h.opt(from.window), h.read(from.taps));
        let dy = h.read(self.dy);
        let [dx, dtaps] = slow::convolution_grad(&x, window.as_deref(), &taps, &dy, from.size);
        h.write(self.dx, &dx);
        h.write(self.dtaps, &dtaps);
    }
    fn cpu(&self, m: &mut Cpu) {
        let [x, window, taps] = self.inputs.places();
        let writes = [Some(self.dx), Some(self.dtaps)];
        let ([x, window, taps, dy], grads) =
            (m.memory).access([x, window, taps, Some(self.dy)], writes);
        let given = self.inputs.given([x, window, taps]);
        kernel::cpu::backward(given, dy, grads, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let from = self.inputs;
        let grads = kernel::cuda::Backward {
            x: m.view(from.x)?,
            window: m.opt(from.window)?,
            taps: m.view(from.taps)?,
            dy: m.view(self.dy)?,
            dx: m.view(self.dx)?,
            dtaps: m.view(self.dtaps)?,
            scratch: m.view(self.scratch)?,
        };
        kernel::cuda::backward(&m.gpu, &grads, from.size)
    }
}
