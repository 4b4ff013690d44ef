//! Channels repeated.

use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_model::graph::{Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// Each `block` neighbouring channels of `[rows, width]`, `times` times one after the other.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    width: usize,
    block: usize,
    times: usize,
}

/// `y [rows, width times]`.
#[derive(Debug)]
struct RepeatChannels {
    x: Place,
    y: Place,
    shape: Shape,
}

/// `dx (+)=` the sum over the copies.
#[derive(Debug)]
struct RepeatChannelsGrad {
    dy: Place,
    dx: Place,
    shape: Shape,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Repeat { block, times } = node.op else {
        return None;
    };
    let x = p.slot(node.inputs[0]);
    let y = p.like(x, value);
    let (rows, width) = p.matrix(x);
    let shape = Shape {
        rows,
        width,
        block,
        times,
    };
    let input = p.read(x);
    p.launch(RepeatChannels {
        x: input,
        y: p.slots[y].place,
        shape,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_for(x, y) else { return };
        let (dx, add) = p.target(x);
        p.launch(RepeatChannelsGrad { dy, dx, shape, add });
    });
    Some(())
}

impl Shape {
    /// For element i of y: the element of x.
    fn source(self, i: usize) -> usize {
        let wide = self.width * self.times;
        let (row, j) = (i / wide, i % wide);
        row * self.width + j / (self.block * self.times) * self.block + j % self.block
    }
    #[cfg(feature = "cuda")]
    fn of_kernel(self) -> kernel::Repeat {
        let Self {
            rows,
            width,
            block,
            times,
        } = self;
        kernel::Repeat {
            rows,
            width,
            block,
            times,
        }
    }
}

impl Kernel for RepeatChannels {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn host(&self, h: &mut Host) {
        let x = h.read(self.x);
        let values = (0..self.y.len).map(|i| x[self.shape.source(i)]);
        h.write(self.y, &values.collect::<Vec<_>>());
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        let Shape { block, times, .. } = self.shape;
        elementwise::repeat_channels(x, y, block, times);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, y) = (m.view(self.x)?, m.view(self.y)?);
        kernel::repeat_channels(&m.gpu, x, y, self.shape.of_kernel())
    }
}

impl Kernel for RepeatChannelsGrad {
    fn places(&self) -> Places {
        places!(self.dy => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let mut sums = vec![0.0; self.dx.len];
        for (i, d) in h.read(self.dy).iter().enumerate() {
            sums[self.shape.source(i)] += d;
        }
        h.put(self.dx, &sums, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([dy], [dx]) = m.memory.access([Some(self.dy)], [Some(self.dx)]);
        let Shape { block, times, .. } = self.shape;
        elementwise::repeat_channels_grad(dy, dx, block, times, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (dy, dx) = (m.view(self.dy)?, m.view(self.dx)?);
        kernel::repeat_channels_grad(&m.gpu, dy, dx, self.add, self.shape.of_kernel())
    }
}
