//! Elementwise functions of one argument.

use minrnn_kernels::Elem;
use minrnn_kernels::elementwise::{self, Map};
use minrnn_model::graph::{Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `y = f(x)`.
#[derive(Debug)]
struct Map1 {
    f: Map,
    x: Place,
    y: Place,
}

/// `dx (+)= f'(x) dy`.
#[derive(Debug)]
struct Map1Grad {
    f: Map,
    x: Place,
    dy: Place,
    dx: Place,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let f = match node.op {
        Op::Unary(f) if elementwise::has_unary(f) => Map::Unary(f),
        Op::Affine { mul, add } => Map::Affine { mul, add },
        _ => return None,
    };
    let slot = p.slot(node.inputs[0]);
    let y = p.make(value, Elem::F32, Elem::F32, p.slots[slot].wanted);
    let x = p.read(slot);
    p.launch(Map1 {
        f,
        x,
        y: p.slots[y].place,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_for(slot, y) else {
            return;
        };
        let (dx, add) = p.target(slot);
        p.launch(Map1Grad { f, x, dy, dx, add });
    });
    Some(())
}

impl Kernel for Map1 {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn host(&self, h: &mut Host) {
        let values = h.read(self.x).into_iter();
        let values: Vec<f64> = values
            .map(|x| elementwise::slow::map(self.f, x).0)
            .collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        elementwise::cpu::map(self.f, x, y, false);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, y) = (m.view(self.x)?, m.view(self.y)?);
        elementwise::cuda::map(&m.gpu, self.f, x, y, false)
    }
}

impl Kernel for Map1Grad {
    fn places(&self) -> Places {
        places!(self.x, self.dy => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let pairs = h.read(self.x).into_iter().zip(h.read(self.dy));
        let values: Vec<f64> = pairs
            .map(|(x, d)| elementwise::slow::map(self.f, x).1 * d)
            .collect();
        h.put(self.dx, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.x), Some(self.dy)];
        let ([x, dy], [dx]) = m.memory.access(reads, [Some(self.dx)]);
        elementwise::cpu::map_grad(self.f, x, dy, dx, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, dy, dx) = (m.view(self.x)?, m.view(self.dy)?, m.view(self.dx)?);
        elementwise::cuda::map_grad(&m.gpu, self.f, x, dy, dx, self.add)
    }
}
