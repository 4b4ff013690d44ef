//! Elementwise functions of one argument, and softplus.

use minrnn_kernels::Elem;
use minrnn_kernels::elementwise::{self, Map};
use minrnn_model::graph::{Fused, Node, Op, Region, Value};

use super::Layer;
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
    map(p, f, node.inputs[0], value);
    Some(())
}

/// Whether a value is read by softplus alone: what leads to step sizes, whose exponentials are taken, is f32 in every compute type.
pub(super) fn leads_to_softplus(p: &Planner<'_>, value: usize) -> bool {
    let softplus = |r: &&Region| r.fused == Fused::Softplus && r.inputs[0].index() == value;
    let readers = p.graph.nodes().iter().enumerate();
    let mut readers = readers
        .filter(|(_, n)| n.inputs.iter().any(|v| v.index() == value))
        .peekable();
    let Some(region) = p.graph.regions().iter().find(softplus) else {
        return false;
    };
    readers.peek().is_some() && readers.all(|(i, _)| region.nodes.contains(&i))
}

/// Softplus, f32 in every compute type.
pub(super) fn layer(fused: Fused) -> Option<Layer> {
    match fused {
        Fused::Softplus => Some(softplus),
        _ => None,
    }
}

fn softplus(p: &mut Planner<'_>, region: &Region) {
    map(
        p,
        Map::Softplus,
        region.inputs[0],
        region.outputs[0].index(),
    );
}

fn map(p: &mut Planner<'_>, f: Map, x: Value, value: usize) {
    let slot = p.slot(x);
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
}

impl Kernel for Map1 {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn again(&self) -> bool {
        true
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
