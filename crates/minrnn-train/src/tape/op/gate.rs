//! Gates: a value times the activation of another.

use minrnn_kernels::activation::{self, Activation as Kind};
use minrnn_model::graph::Value;

use super::activation::kind;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `value = a f(x)`, f an activation, by its position among the regions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::tape) struct Gated {
    pub(in crate::tape) activation: usize,
    pub(in crate::tape) a: Value,
    pub(in crate::tape) value: usize,
}

/// `y = a f(x)`.
#[derive(Debug)]
struct Gate {
    kind: Kind,
    a: Place,
    x: Place,
    y: Place,
}

/// Its gradients; `da` may be `dy`, `dx` may be `x`.
#[derive(Debug)]
struct GateGrad {
    kind: Kind,
    a: Place,
    x: Place,
    dy: Place,
    da: Place,
    dx: Place,
}

pub(in crate::tape) fn gate(p: &mut Planner<'_>, of: Gated) {
    let region = &p.graph.regions()[of.activation];
    let Some(kind) = kind(region.fused) else {
        return;
    };
    let compute = p.compute();
    let (a, x) = (p.computed(of.a), p.computed(region.inputs[0]));
    let y = p.make(of.value, compute, compute, true);
    let (left, value) = (p.read(a), p.read(x));
    p.launch(Gate {
        kind,
        a: left,
        x: value,
        y: p.slots[y].place,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let shared = p.slots[y].grad.is_some_and(|grad| grad.shared);
        let da = match shared {
            true => p.buffer(dy.len, compute),
            false => dy,
        };
        let dx = p.in_place(x, compute);
        p.launch(GateGrad {
            kind,
            a: left,
            x: value,
            dy,
            da,
            dx,
        });
        p.give(a, da, false);
        p.give(x, dx, false);
    });
}

impl Kernel for Gate {
    fn places(&self) -> Places {
        places!(self.a, self.x => self.y)
    }
    fn again(&self) -> bool {
        true
    }
    fn host(&self, h: &mut Host) {
        let pairs = h.read(self.a).into_iter().zip(h.read(self.x));
        let values: Vec<f64> = pairs
            .map(|(a, x)| a * activation::slow::activation(self.kind, x).0)
            .collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([a, x], [y]) = (m.memory).access([Some(self.a), Some(self.x)], [Some(self.y)]);
        activation::cpu::gate(self.kind, a, x, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let views = [m.view(self.a)?, m.view(self.x)?, m.view(self.y)?];
        activation::cuda::gate(&m.gpu, self.kind, views, self.y.len)
    }
}

impl Kernel for GateGrad {
    fn places(&self) -> Places {
        places!(self.a, self.x, self.dy => self.da, self.dx)
    }
    fn host(&self, h: &mut Host) {
        let (a, x, dy) = (h.read(self.a), h.read(self.x), h.read(self.dy));
        let f: Vec<(f64, f64)> = x
            .into_iter()
            .map(|x| activation::slow::activation(self.kind, x))
            .collect();
        let each = |g: &dyn Fn(usize) -> f64| (0..f.len()).map(g).collect::<Vec<f64>>();
        h.write(self.da, &each(&|i| dy[i] * f[i].0));
        h.write(self.dx, &each(&|i| dy[i] * a[i] * f[i].1));
    }
    fn cpu(&self, m: &mut Cpu) {
        m.move_to(self.dy, self.da);
        m.move_to(self.x, self.dx);
        let ([a], [da, dx]) = (m.memory).access([Some(self.a)], [Some(self.da), Some(self.dx)]);
        activation::cpu::gate_backward(self.kind, a, da, dx);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let from = [m.view(self.a)?, m.view(self.x)?, m.view(self.dy)?];
        let to = [m.view(self.da)?, m.view(self.dx)?];
        activation::cuda::gate_backward(&m.gpu, self.kind, from, to, self.da.len)
    }
}
