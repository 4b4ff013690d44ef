//! A row of a parameter added to, or multiplied with, every row of a value.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Binary, Node, Op, Param};

use super::column_sum::column_sum;
use super::map::leads_to_softplus;
use super::map2::Map2;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `y = x + p` or `x * p`, p one row.
#[derive(Debug)]
pub(in crate::tape) struct WithVec {
    multiply: bool,
    pub(in crate::tape) x: Place,
    p: Place,
    pub(in crate::tape) y: Place,
    rows: usize,
    width: usize,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let multiply = match node.op {
        Op::Binary(Binary::Add) => false,
        Op::Binary(Binary::Mul) => true,
        _ => return None,
    };
    let [x, second] = node.inputs[..] else {
        return None;
    };
    let (param, row) = p.graph.as_row(second)?;
    let whole = p.graph.width(second) == node.width;
    if !whole || p.graph.span(x).is_model() {
        return None;
    }
    vector(p, node, multiply, param, row, value);
    Some(())
}

pub(super) fn vector(
    p: &mut Planner<'_>,
    node: &Node,
    multiply: bool,
    param: Param,
    row: usize,
    value: usize,
) {
    let x = p.slot(node.inputs[0]);
    let y = if leads_to_softplus(p, value) {
        p.make(value, Elem::F32, Elem::F32, p.slots[x].wanted)
    } else {
        p.like(x, value)
    };
    p.slots[y].wanted |= p.trained(param);
    let (rows, width) = p.matrix(y);
    let input = p.read(x);
    let vector = p.param(param).part(row * width, width);
    p.launch(WithVec {
        multiply,
        x: input,
        p: vector,
        y: p.slots[y].place,
        rows,
        width,
        add: false,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_any(y) else { return };
        if p.trained(param) {
            let mut each = dy;
            if multiply {
                each = p.buffer(rows * width, Elem::F32);
                p.launch(Map2 {
                    f: Binary::Mul,
                    a: input,
                    b: dy,
                    y: each,
                    rows,
                    width,
                });
            }
            column_sum(p, each, param, row, rows, width);
        }
        if !p.slots[x].wanted {
            return;
        }
        let (dx, add) = p.target(x);
        if multiply {
            p.launch(WithVec {
                multiply,
                x: dy,
                p: vector,
                y: dx,
                rows,
                width,
                add,
            });
        } else {
            p.copy(dy, dx, add);
        }
    });
}

impl Kernel for WithVec {
    fn places(&self) -> Places {
        places!(self.x, self.p => self.y)
    }
    fn again(&self) -> bool {
        !self.add
    }
    fn host(&self, h: &mut Host) {
        let p = h.read(self.p);
        let of = |(i, x): (usize, f64)| match self.multiply {
            true => x * p[i % self.width],
            false => x + p[i % self.width],
        };
        let values: Vec<f64> = h.read(self.x).into_iter().enumerate().map(of).collect();
        h.put(self.y, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x, p], [y]) = m
            .memory
            .access([Some(self.x), Some(self.p)], [Some(self.y)]);
        minrnn_kernels::elementwise::cpu::vec(self.multiply, x, p, y, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, p, y) = (m.view(self.x)?, m.view(self.p)?, m.view(self.y)?);
        let Self { rows, width, .. } = *self;
        minrnn_kernels::elementwise::cuda::vec(
            &m.gpu,
            self.multiply,
            x,
            p,
            y,
            self.add,
            rows,
            width,
        )
    }
}
