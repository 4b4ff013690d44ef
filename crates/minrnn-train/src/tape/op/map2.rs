//! Elementwise functions of two arguments.

use minrnn_kernels::{Elem, elementwise};
use minrnn_model::graph::{Binary, Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, SlotId};

/// `y = f(a, b)`; an argument of width 1 is repeated.
#[derive(Debug)]
pub(super) struct Map2 {
    pub(super) f: Binary,
    pub(super) a: Place,
    pub(super) b: Place,
    pub(super) y: Place,
    pub(super) rows: usize,
    pub(super) width: usize,
}

/// Gradient of one argument; of width 1: summed over the channels.
#[derive(Debug)]
struct Map2Grad {
    f: Binary,
    /// 0 or 1.
    which: usize,
    a: Place,
    b: Place,
    dy: Place,
    dx: Place,
    rows: usize,
    width: usize,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    match node.op {
        Op::Binary(f) if elementwise::has_binary(f) => {
            let (a, b) = (p.slot(node.inputs[0]), p.slot(node.inputs[1]));
            map2(p, f, a, b, value);
            Some(())
        }
        _ => None,
    }
}

pub(super) fn map2(p: &mut Planner<'_>, f: Binary, a: SlotId, b: SlotId, value: usize) {
    let both = p.slots[a].place.elem == p.slots[b].place.elem;
    let elem = match (f, both) {
        (Binary::Mul, true) => p.slots[a].place.elem,
        _ => Elem::F32,
    };
    let wanted = p.slots[a].wanted || p.slots[b].wanted;
    let y = p.make(value, elem, elem, wanted);
    let (left, right) = (p.read(a), p.read(b));
    let (rows, width) = p.matrix(y);
    p.launch(Map2 {
        f,
        a: left,
        b: right,
        y: p.slots[y].place,
        rows,
        width,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_any(y) else { return };
        for (which, x) in [a, b].into_iter().enumerate() {
            if !p.slots[x].wanted {
                continue;
            }
            let (dx, add) = p.target(x);
            p.launch(Map2Grad {
                f,
                which,
                a: left,
                b: right,
                dy,
                dx,
                rows,
                width,
                add,
            });
        }
    });
}

/// Element `i` of `[rows, width]`, or that of its row.
fn at(values: &[f64], i: usize, rows: usize, width: usize) -> f64 {
    values[if values.len() == rows { i / width } else { i }]
}

impl Kernel for Map2 {
    fn places(&self) -> Places {
        places!(self.a, self.b => self.y)
    }
    fn again(&self) -> bool {
        true
    }
    fn host(&self, h: &mut Host) {
        let Self { rows, width, .. } = *self;
        let (a, b) = (h.read(self.a), h.read(self.b));
        let value = |i| {
            let (a, b) = (at(&a, i, rows, width), at(&b, i, rows, width));
            elementwise::slow::map2(self.f, a, b).0
        };
        let values: Vec<f64> = (0..rows * width).map(value).collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([a, b], [y]) = m
            .memory
            .access([Some(self.a), Some(self.b)], [Some(self.y)]);
        elementwise::cpu::map2(self.f, a, b, y, self.width);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (a, b, y) = (m.view(self.a)?, m.view(self.b)?, m.view(self.y)?);
        elementwise::cuda::map2(&m.gpu, self.f, a, b, y, self.rows, self.width)
    }
}

impl Kernel for Map2Grad {
    fn places(&self) -> Places {
        places!(self.a, self.b, self.dy => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let Self { rows, width, .. } = *self;
        let (a, b, dy) = (h.read(self.a), h.read(self.b), h.read(self.dy));
        let mut sums = vec![0.0; self.dx.len];
        for (i, d) in dy.iter().enumerate() {
            let (a, b) = (at(&a, i, rows, width), at(&b, i, rows, width));
            let to = if sums.len() == rows { i / width } else { i };
            sums[to] += elementwise::slow::map2(self.f, a, b).1[self.which] * d;
        }
        h.put(self.dx, &sums, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.a), Some(self.b), Some(self.dy)];
        let ([a, b, dy], [dx]) = m.memory.access(reads, [Some(self.dx)]);
        elementwise::cpu::map2_grad(elementwise::cpu::Map2Grad {
            f: self.f,
            which: self.which,
            a,
            b,
            dy,
            dx,
            add: self.add,
            width: self.width,
        });
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let grad = elementwise::cuda::Map2Grad {
            f: self.f,
            which: self.which,
            a: m.view(self.a)?,
            b: m.view(self.b)?,
            dy: m.view(self.dy)?,
            dx: m.view(self.dx)?,
            add: self.add,
        };
        elementwise::cuda::map2_grad(&m.gpu, grad, self.rows, self.width)
    }
}
