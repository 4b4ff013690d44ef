//! Products of matrices: linear layers.

use minrnn_kernels::Elem;
#[cfg(feature = "cuda")]
use minrnn_kernels::cuda as kernel;
use minrnn_kernels::product;
use minrnn_model::graph::{Fused, Node, Op, Param, Region, Value};

use super::Layer;
use super::column_sum::column_sum;
use super::columns::CopyColumns;
use super::map::leads_to_softplus;
use super::zero::Zero;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, SlotId};

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
pub(super) fn linear(
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

/// The gradient of a matrix `[k, n]` of which a kernel makes the products by itself: from what it is multiplied by, `[rows, k]`, and the
/// gradient of the products, `[rows, n]`.
pub(super) fn weight_grad(
    p: &mut Planner<'_>,
    (a, dy): (Place, Place),
    weight: Param,
    [rows, k, n]: [usize; 3],
) {
    let add = p.write_grad(weight);
    p.launch(Matmul {
        a,
        a_transposed: true,
        b: dy,
        b_transposed: false,
        bias: None,
        c: p.param_grad(weight),
        m: k,
        n,
        k: rows,
        add,
    });
}

/// `x W` as a product for each of its parts, which others read apart: columns of W are copied instead of columns of the result.
pub(in crate::tape) fn split(p: &mut Planner<'_>, region: &Region, parts: &[usize]) {
    let weight = region.params[0];
    let compute = p.compute();
    let x = p.computed(region.inputs[0]);
    let (rows, k) = p.matrix(x);
    let whole = p.layout.lens[weight.index()] / k;
    let a = p.read(x);
    let made: Vec<Part> = parts
        .iter()
        .map(|value| part(p, (x, a), (weight, whole), *value))
        .collect();
    p.back(move |p| {
        let grads: Vec<_> = made.iter().map(|part| p.grad(part.y, compute)).collect();
        if grads.iter().all(Option::is_none) {
            return;
        }
        let grad = p.param_grad(weight);
        let add = p.write_grad(weight);
        if !add && grads.iter().any(Option::is_none) {
            p.launch(Zero { to: grad });
        }
        for (part, dy) in made.into_iter().zip(grads) {
            let Some(dy) = dy else { continue };
            let own = p.buffer(k * part.columns.width, Elem::F32);
            p.launch(Matmul {
                a,
                a_transposed: true,
                b: dy,
                b_transposed: false,
                bias: None,
                c: own,
                m: k,
                n: part.columns.width,
                k: rows,
                add: false,
            });
            p.launch(part.columns.back(own, grad, add));
            if !p.slots[x].wanted {
                continue;
            }
            let (dx, add) = p.target(x);
            p.launch(Matmul {
                a: dy,
                a_transposed: false,
                b: part.weight,
                b_transposed: true,
                bias: None,
                c: dx,
                m: rows,
                n: k,
                k: part.columns.width,
                add,
            });
        }
    });
}

/// A part of a result, and the columns of the weight that it is made by.
struct Part {
    y: SlotId,
    weight: Place,
    columns: Block,
}

/// Columns `from..from + width` of the weight `[k, whole]`.
#[derive(Clone, Copy)]
struct Block {
    from: usize,
    width: usize,
    whole: usize,
    k: usize,
}

impl Block {
    /// Out of the weight.
    fn out(self, weight: Place, to: Place) -> CopyColumns {
        let Self {
            from,
            width,
            whole,
            k,
        } = self;
        CopyColumns::new((weight, whole, from), (to, width, 0), k, width, false)
    }
    /// Its gradient to that of the weight.
    fn back(self, grad: Place, to: Place, add: bool) -> CopyColumns {
        let Self {
            from,
            width,
            whole,
            k,
        } = self;
        CopyColumns::new((grad, width, 0), (to, whole, from), k, width, add)
    }
}

/// The product for the part that node `value` is.
fn part(
    p: &mut Planner<'_>,
    (x, a): (SlotId, Place),
    (weight, whole): (Param, usize),
    value: usize,
) -> Part {
    let (rows, k) = p.matrix(x);
    let node = &p.graph.nodes()[value];
    let from = match node.op {
        Op::Narrow { start, .. } => start,
        _ => 0,
    };
    let columns = Block {
        from,
        width: node.width,
        whole,
        k,
    };
    let compute = p.compute();
    let own = p.buffer(k * columns.width, compute);
    p.launch(columns.out(p.param_as(weight, compute), own));
    let out = match p.is_output(value) || leads_to_softplus(p, value) {
        true => Elem::F32,
        false => compute,
    };
    let y = p.make(value, out, compute, true);
    p.launch(Matmul {
        a,
        a_transposed: false,
        b: own,
        b_transposed: false,
        bias: None,
        c: p.slots[y].place,
        m: rows,
        n: columns.width,
        k,
        add: false,
    });
    Part {
        y,
        weight: own,
        columns,
    }
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
