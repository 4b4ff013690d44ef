//! Sums and means of groups of channels.

use minrnn_kernels::Elem;
use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_model::graph::{Node, Op, Reduction};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// Sum or mean of each row; a row is a group of channels.
#[derive(Debug)]
struct Reduce {
    kind: Reduction,
    x: Place,
    y: Place,
    rows: usize,
    width: usize,
}

/// `dx (+)= dy`, of a mean `dy / width`.
#[derive(Debug)]
struct ReduceGrad {
    kind: Reduction,
    dy: Place,
    dx: Place,
    rows: usize,
    width: usize,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Reduce { kind, group } = node.op else {
        return None;
    };
    let x = p.slot(node.inputs[0]);
    let y = p.make(value, Elem::F32, Elem::F32, p.slots[x].wanted);
    let input = p.read(x);
    let (rows, width) = p.matrix(x);
    let (rows, width) = (rows * width / group, group);
    p.launch(Reduce {
        kind,
        x: input,
        y: p.slots[y].place,
        rows,
        width,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_for(x, y) else { return };
        let (dx, add) = p.target(x);
        p.launch(ReduceGrad {
            kind,
            dy,
            dx,
            rows,
            width,
            add,
        });
    });
    Some(())
}

/// What a sum is divided by.
fn divisor(kind: Reduction, width: usize) -> f64 {
    match kind {
        Reduction::Sum => 1.0,
        Reduction::Mean => width as f64,
    }
}

impl Kernel for Reduce {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn host(&self, h: &mut Host) {
        let (x, n) = (h.read(self.x), divisor(self.kind, self.width));
        let rows = x.chunks_exact(self.width);
        let all: Vec<f64> = rows.map(|r| r.iter().sum::<f64>() / n).collect();
        h.write(self.y, &all);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        elementwise::reduce(self.kind, x, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        kernel::reduce(
            &m.gpu,
            self.kind,
            m.view(self.x)?,
            m.view(self.y)?,
            self.rows,
            self.width,
        )
    }
}

impl Kernel for ReduceGrad {
    fn places(&self) -> Places {
        places!(self.dy => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let (dy, n) = (h.read(self.dy), divisor(self.kind, self.width));
        let each = (0..self.rows * self.width).map(|i| dy[i / self.width] / n);
        h.put(self.dx, &each.collect::<Vec<_>>(), self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([dy], [dx]) = m.memory.access([Some(self.dy)], [Some(self.dx)]);
        elementwise::reduce_grad(self.kind, dy, dx, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (dy, dx) = (m.view(self.dy)?, m.view(self.dx)?);
        kernel::reduce_grad(&m.gpu, self.kind, dy, dx, self.add, self.rows, self.width)
    }
}
