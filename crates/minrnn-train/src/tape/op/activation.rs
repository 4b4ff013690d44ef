//! Activations with a kernel of their own.

use minrnn_kernels::activation::{self, Activation as Kind};
use minrnn_model::graph::{Fused, Region};

use super::Layer;
use super::column_sum::{sums_scratch, write_sums};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `y = f(x)`.
#[derive(Debug)]
struct Activation {
    kind: Kind,
    x: Place,
    y: Place,
}

/// Its gradient; `dx` may be `x` or `dy`. With the sums of the columns of dx, and scratch for them.
#[derive(Debug)]
struct ActivationGrad {
    kind: Kind,
    x: Place,
    dy: Place,
    dx: Place,
    sums: Option<(Place, Place)>,
}

pub(super) fn kind(fused: Fused) -> Option<Kind> {
    match fused {
        Fused::GeluErf => Some(Kind::GeluErf),
        Fused::GeluTanh => Some(Kind::GeluTanh),
        Fused::Silu => Some(Kind::Silu),
        _ => None,
    }
}

/// Whether a fused layer is an activation with a kernel.
pub(in crate::tape) fn is_activation(fused: Fused) -> bool {
    kind(fused).is_some()
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    kind(fused).map(|_| activation as Layer)
}

fn activation(p: &mut Planner<'_>, region: &Region) {
    let Some(kind) = kind(region.fused) else {
        return;
    };
    let compute = p.compute();
    let x = p.computed(region.inputs[0]);
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    let value = p.read(x);
    p.launch(Activation {
        kind,
        x: value,
        y: p.slots[y].place,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let (rows, width) = p.matrix(x);
        let sums = p.bias_sums(x);
        let sums = sums.map(|sums| (sums, sums_scratch(p, rows, width)));
        let dx = p.in_place(x, compute);
        p.launch(ActivationGrad {
            kind,
            x: value,
            dy,
            dx,
            sums,
        });
        p.give(x, dx, false);
    });
}

impl Kernel for Activation {
    fn places(&self) -> Places {
        places!(self.x => self.y)
    }
    fn again(&self) -> bool {
        true
    }
    fn host(&self, h: &mut Host) {
        let values = h.read(self.x).into_iter();
        let values: Vec<f64> = values
            .map(|x| activation::slow::activation(self.kind, x).0)
            .collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        activation::cpu::forward(self.kind, x, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        activation::cuda::forward(
            &m.gpu,
            self.kind,
            m.view(self.x)?,
            m.view(self.y)?,
            self.y.len,
        )
    }
}

impl Kernel for ActivationGrad {
    fn places(&self) -> Places {
        places!(self.x, self.dy => self.dx, self.sums.map(|s| s.0); self.sums.map(|s| s.1))
    }
    fn host(&self, h: &mut Host) {
        let pairs = h.read(self.x).into_iter().zip(h.read(self.dy));
        let values: Vec<f64> = pairs
            .map(|(x, d)| activation::slow::activation(self.kind, x).1 * d)
            .collect();
        h.write(self.dx, &values);
        write_sums(h, self.dx, self.sums.map(|s| s.0));
    }
    fn cpu(&self, m: &mut Cpu) {
        m.move_to(self.x, self.dx);
        let sums = self.sums.map(|s| s.0);
        let ([dy], [dx, sums]) = (m.memory).access([Some(self.dy)], [Some(self.dx), sums]);
        activation::cpu::backward(self.kind, dx, dy, sums, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (u, dg, du) = (m.view(self.x)?, m.view(self.dy)?, m.view(self.dx)?);
        let Some((sums, scratch)) = self.sums else {
            return activation::cuda::backward(&m.gpu, self.kind, u, dg, du, self.dx.len);
        };
        let both = activation::cuda::BackwardSum {
            u,
            dg,
            du,
            sums: m.view(sums)?,
            scratch: m.view(scratch)?,
            n: self.dx.len / sums.len,
            w: sums.len,
        };
        activation::cuda::backward_sum(&m.gpu, self.kind, &both)
    }
}
