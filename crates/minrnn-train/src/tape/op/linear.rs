//! Linear layers.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Fused, Node, Op, Param, Region, Value};

use super::Layer;
use super::column_sum::column_sum;
use super::columns::CopyColumns;
use super::map::leads_to_softplus;
use super::matmul::Matmul;
use super::zero::Zero;
use crate::tape::parted::{Block, Parted};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, SlotId};

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
    let exact = p.graph.nodes()[value].span.is_model();
    let compute = if exact { Elem::F32 } else { p.compute() };
    let x = p.slot(x);
    let x = p.cast(x, compute);
    let trained = p.trained(weight) || bias.is_some_and(|b| p.trained(b));
    let out = if p.is_output(value) || leads_to_softplus(p, value) {
        Elem::F32
    } else {
        compute
    };
    let y = p.make(value, out, compute, trained || p.slots[x].wanted);
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
        exact,
    });
    if let Some(bias) = bias {
        p.bias_of.insert(y, bias);
    }
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        if p.trained(weight) {
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
                exact,
            });
        }
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
            exact,
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
        exact: false,
    });
}

/// The part of `x W` that node `value` is, as a product of its own: columns of W are copied instead of columns of the result.
pub(in crate::tape) fn part(p: &mut Planner<'_>, index: usize, value: usize) {
    let (graph, compute) = (p.graph, p.compute());
    let region = &graph.regions()[index];
    let weight = region.params[0];
    let x = p.computed(region.inputs[0]);
    let (rows, k) = p.matrix(x);
    let node = &graph.nodes()[value];
    let from = match node.op {
        Op::Narrow { start, .. } => start,
        _ => 0,
    };
    let columns = Block {
        from,
        width: node.width,
        whole: p.layout.lens[weight.index()] / k,
        k,
    };
    let own = p.buffer(k * columns.width, compute);
    p.launch(columns.out(p.param_as(weight, compute), own));
    let out = match p.is_output(value) || leads_to_softplus(p, value) {
        true => Elem::F32,
        false => compute,
    };
    let y = p.make(value, out, compute, true);
    let a = p.read(x);
    let product = Matmul {
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
        exact: false,
    };
    p.launch(product);
    // The first part is the last of the backward pass.
    let first = p.parted.insert(index, Parted::default()).is_none();
    p.back(move |p| {
        match p.grad(y, compute) {
            Some(dy) => {
                let part = Part {
                    x,
                    a,
                    dy,
                    weight: own,
                    columns,
                };
                part.back(p, index, weight);
            }
            None => p.parted.entry(index).or_default().missing.push(columns),
        }
        if first {
            no_gradient(p, index, weight);
        }
    });
}

/// Zeros for the columns of a weight whose parts have no gradient, where others have one.
fn no_gradient(p: &mut Planner<'_>, index: usize, weight: Param) {
    let Some(Parted {
        add: Some(false),
        missing,
    }) = p.parted.remove(&index)
    else {
        return;
    };
    let grad = p.param_grad(weight);
    for columns in missing {
        let zeros = p.buffer(columns.k * columns.width, Elem::F32);
        p.launch(Zero { to: zeros });
        p.launch(columns.back(zeros, grad, false));
    }
}

/// A part of a result with its gradient, and the columns of the weight that it is made by.
struct Part {
    x: SlotId,
    a: Place,
    dy: Place,
    weight: Place,
    columns: Block,
}

impl Part {
    /// The gradients of its columns and of what they are multiplied with.
    fn back(self, p: &mut Planner<'_>, index: usize, weight: Param) {
        let Self {
            x, a, dy, columns, ..
        } = self;
        let (rows, _) = p.matrix(x);
        let known = p.parted.get(&index).and_then(|parted| parted.add);
        let add = known.unwrap_or_else(|| p.write_grad(weight));
        p.parted.entry(index).or_default().add = Some(add);
        let own = p.buffer(columns.k * columns.width, Elem::F32);
        p.launch(Matmul {
            a,
            a_transposed: true,
            b: dy,
            b_transposed: false,
            bias: None,
            c: own,
            m: columns.k,
            n: columns.width,
            k: rows,
            add: false,
            exact: false,
        });
        p.launch(columns.back(own, p.param_grad(weight), add));
        if !p.slots[x].wanted {
            return;
        }
        let (dx, add) = p.target(x);
        p.launch(Matmul {
            a: dy,
            a_transposed: false,
            b: self.weight,
            b_transposed: true,
            bias: None,
            c: dx,
            m: rows,
            n: columns.k,
            k: columns.width,
            add,
            exact: false,
        });
    }
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
