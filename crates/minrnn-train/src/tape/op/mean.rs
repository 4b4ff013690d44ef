//! Means of groups of channels.

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

/// Mean of each row; a row is a group of channels.
#[derive(Debug)]
struct Mean {
    x: Place,
    y: Place,
    rows: usize,
    width: usize,
}

/// `dx (+)= dy / width`.
#[derive(Debug)]
struct MeanGrad {
    dy: Place,
    dx: Place,
    rows: usize,
    width: usize,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Reduce {
        kind: Reduction::Mean,
        group,
    } = node.op
    else {
        return None;
    };
    let x = p.slot(node.inputs[0]);
    let y = p.make(value, Elem::F32, Elem::F32, p.slots[x].wanted);
    let input = p.read(x);
    let (rows, width) = p.matrix(x);
    let (rows, width) = (rows * width / group, group);
    p.launch(Mean {
        x: input,
        y: p.slots[y].place,
        rows,
        width,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_for(x, y) else { return };
        let (dx, add) = p.target(x);
        p.launch(MeanGrad {
            dy,
            dx,
            rows,
            width,
            add,
        });
    });
    Some(())
}

impl Kernel for Mean {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn host(&self, h: &mut Host) {
        let (x, n) = (h.read(self.x), self.width as f64);
        let rows = x.chunks_exact(self.width);
        let means: Vec<f64> = rows.map(|r| r.iter().sum::<f64>() / n).collect();
        h.write(self.y, &means);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        elementwise::mean(x, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        kernel::mean(
            &m.gpu,
            m.view(self.x)?,
            m.view(self.y)?,
            self.rows,
            self.width,
        )
    }
}

impl Kernel for MeanGrad {
    fn places(&self) -> Places {
        places!(self.dy => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let (dy, n) = (h.read(self.dy), self.width as f64);
        let each = (0..self.rows * self.width).map(|i| dy[i / self.width] / n);
        h.put(self.dx, &each.collect::<Vec<_>>(), self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([dy], [dx]) = m.memory.access([Some(self.dy)], [Some(self.dx)]);
        elementwise::mean_grad(dy, dx, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (dy, dx) = (m.view(self.dy)?, m.view(self.dx)?);
        kernel::mean_grad(&m.gpu, dy, dx, self.add, self.rows, self.width)
    }
}
