//! Products of matrices: linear layers.

use minrnn_kernels::Elem;
#[cfg(feature = "cuda")]
use minrnn_kernels::cuda as kernel;
use minrnn_kernels::product;
use minrnn_model::graph::{Fused, Node, Op, Param, Region, Value};

use super::Layer;
use super::column_sum::column_sum;
use super::map::leads_to_softplus;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::Planner;

/// `c [m,n] = a [m,k] b [k,n] (+ bias)`.
#[derive(Debug)]
struct Matmul {
    a: Place,
    a_transposed: bool,
    b: Place,
    b_transposed: bool,
    bias: Option<Place>,
    c: Place,
    m: usize,
    n: usize,
    k: usize,
    add: bool,
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    match fused {
        Fused::Linear { .. } => Some(region),
        _ => None,
    }
}

fn region(p: &mut Planner<'_>, region: &Region) {
    let (weight, bias) = (region.params[0], region.params.get(1).copied());
    let value = region.outputs[0].index();
    linear(p, region.inputs[0], (weight, false), bias, value);
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::MatMul { transposed } = node.op else {
        return None;
    };
    let weight = p.graph.weight(node)?;
    linear(p, node.inputs[0], (weight, transposed), None, value);
    Some(())
}

/// `x W (+ bias)`; whether W is `[N, K]`, as a table of embeddings is, else `[K, N]`.
fn linear(
    p: &mut Planner<'_>,
    x: Value,
    (weight, transposed): (Param, bool),
    bias: Option<Param>,
    value: usize,
) {
    let compute = p.compute();
    let x = p.computed(x);
    let out = if p.is_output(value) || leads_to_softplus(p, value) {
        Elem::F32
    } else {
        compute
    };
    let y = p.make(value, out, compute, true);
    let (rows, k) = p.matrix(x);
    let n = p.slots[y].width;
    let a = p.read(x);
    p.launch(Matmul {
        a,
        a_transposed: false,
        b: p.param_as(weight, compute),
        b_transposed: transposed,
        bias: bias.map(|b| p.param_as(b, out)),
        c: p.slots[y].place,
        m: rows,
        n,
        k,
        add: false,
    });
    if let Some(bias) = bias {
        p.bias_of.insert(y, bias);
    }
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let add = p.write_grad(weight);
        let ((a, m), (b, n_of_weight)) = match transposed {
            true => ((dy, n), (a, k)),
            false => ((a, k), (dy, n)),
        };
        p.launch(Matmul {
            a,
            a_transposed: true,
            b,
            b_transposed: false,
            bias: None,
            c: p.param_grad(weight),
            m,
            n: n_of_weight,
            k: rows,
            add,
        });
        if let Some(bias) = bias.filter(|_| p.bias_of.contains_key(&y)) {
            column_sum(p, dy, bias, 0, rows, n);
        }
        if !p.slots[x].wanted {
            return;
        }
        let (dx, add) = p.target(x);
        p.launch(Matmul {
            a: dy,
            a_transposed: false,
            b: p.param_as(weight, compute),
            b_transposed: !transposed,
            bias: None,
            c: dx,
            m: rows,
            n: k,
            k: n,
            add,
        });
    });
}

impl Kernel for Matmul {
    fn title(&self) -> String {
        let Self { m, n, k, .. } = self;
        format!("Matmul [{m},{k}] x [{k},{n}]")
    }
    fn places(&self) -> Places {
        places!(self.a, self.b, self.bias => self.c)
    }
    fn host(&self, h: &mut Host) {
        let Self { m, n, k, .. } = *self;
        let (a, b, bias) = (h.read(self.a), h.read(self.b), h.opt(self.bias));
        let at = |v: &[f64], i: usize, j: usize, rows: usize, columns: usize, t: bool| {
            v[if t { j * rows + i } else { i * columns + j }]
        };
        let mut values = vec![0.0; m * n];
        for i in 0..m {
            for l in 0..k {
                let x = at(&a, i, l, m, k, self.a_transposed);
                for j in 0..n {
                    values[i * n + j] += x * at(&b, l, j, k, n, self.b_transposed);
                }
            }
            if let Some(bias) = &bias {
                let row = values[i * n..][..n].iter_mut().zip(bias);
                row.for_each(|(v, b)| *v += b);
            }
        }
        h.put(self.c, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.a), Some(self.b), self.bias];
        let ([a, b, bias], [c]) = m.memory.access(reads, [Some(self.c)]);
        let shape = product::Shape {
            m: self.m,
            n: self.n,
            k: self.k,
        };
        let operand = |values, transposed| product::Operand { values, transposed };
        let both = [operand(a, self.a_transposed), operand(b, self.b_transposed)];
        let bias = self.bias.map(|_| bias);
        product::product(&mut m.packed, shape, both, bias, c, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        self.product(m)?.launch(&m.gpu)
    }
    #[cfg(feature = "cuda")]
    fn tune(&self, m: &Machine) -> Result<()> {
        self.product(m)?.tune(&m.gpu)
    }
}

#[cfg(feature = "cuda")]
impl Matmul {
    fn product<'m>(&self, m: &'m Machine) -> Result<kernel::Matmul<'m>> {
        let operand = |view, transposed| kernel::Operand { view, transposed };
        Ok(kernel::Matmul {
            a: operand(m.view(self.a)?, self.a_transposed),
            b: operand(m.view(self.b)?, self.b_transposed),
            c: m.view(self.c)?,
            m: self.m,
            n: self.n,
            k: self.k,
            count: 1,
            bias: m.opt(self.bias)?,
            accumulate: self.add,
            precision: m.precision,
        })
    }
}
