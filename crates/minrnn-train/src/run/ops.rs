//! Primitive operations as candle tensors.

use candle_core::{D, DType, Result, Tensor, bail};
use minrnn_kernels as kernels;
use minrnn_model::graph::{Binary, Input, Op, Reduction, Unary};

use super::{Walk, time};

impl Walk<'_> {
    /// The value of node `i` by its definition; `site` counts dropouts.
    pub(super) fn primitive(&self, i: usize, site: &mut usize) -> Result<Tensor> {
        let node = &self.graph.nodes()[i];
        if matches!(node.op, Op::Input) {
            return match self.graph.input() {
                Input::Tokens { .. } => self.run.input.to_dtype(DType::U32),
                Input::Features { .. } => self.run.input.to_dtype(self.dtype()),
            };
        }
        let x = |i: usize| self.value(node.inputs[i]);
        match node.op {
            Op::Input => unreachable!("returned above"),
            Op::Param { param } => matrix(self.weights.get(param.index())),
            Op::Const { value } => {
                Tensor::full(value, (1, 1), self.run.input.device())?.to_dtype(self.dtype())
            }
            Op::Row { row } => x(0).narrow(0, row, 1),
            Op::Embed { table } if node.inputs[0].index() != 0 => {
                self.rows_of(table, x(0), node.width)
            }
            Op::Attend {
                state,
                heads,
                dropout,
            } => {
                let own = (dropout > 0.0).then_some((dropout, *site));
                *site += usize::from(own.is_some());
                self.attend([x(0), x(1), x(2)], state, heads, own)
            }
            Op::Embed { table } => {
                let table = self.weights.get(table.index());
                let rows = kernels::embedding(table, &x(0).flatten_all()?)?;
                rows.reshape((self.batch, self.time, node.width))
            }
            Op::Delay { state, by } => self.delay(x(0), state, by),
            Op::Conv { state } => self.convolution([x(0), x(1)], state),
            Op::Limit { most } => self.limit(x(0), most),
            Op::Recur { state, law } => {
                let x: Vec<&Tensor> = node.inputs.iter().map(|v| self.value(*v)).collect();
                self.recur(law, &x, state)
            }
            Op::Last => time::last(x(0), self.run.lens),
            Op::Dropout { p } => {
                *site += 1;
                match &self.run.dropout {
                    Some(dropout) => dropout.apply(x(0), p, *site - 1),
                    None => Ok(x(0).clone()),
                }
            }
            Op::Before { .. } | Op::Fold { .. } => unreachable!("a fold is run as a whole"),
            op => {
                let x: Vec<&Tensor> = node.inputs.iter().map(|v| self.value(*v)).collect();
                still(op, &x)
            }
        }
    }
}

/// An operation that knows neither time nor parameters.
pub(super) fn still(op: Op, x: &[&Tensor]) -> Result<Tensor> {
    match op {
        Op::MatMul { transposed: false } => matmul(x[0], x[1]),
        Op::MatMul { transposed: true } => matmul(x[0], &x[1].t()?),
        Op::Unary(f) => unary(f, x[0]),
        Op::Binary(f) => binary(f, x[0], x[1]),
        Op::Affine { mul, add } => x[0].affine(mul, add),
        Op::Reduce { kind, group } => reduce(kind, x[0], group),
        Op::Repeat { block, times } => repeat(x[0], block, times),
        Op::Narrow { start, len } => x[0].narrow(D::Minus1, start, len)?.contiguous(),
        Op::Concat => Tensor::cat(x, D::Minus1),
        other => bail!("{} is run by its own", other.name()),
    }
}

/// A parameter as rows, a vector as one.
fn matrix(p: &Tensor) -> Result<Tensor> {
    if p.rank() == 1 {
        p.unsqueeze(0)
    } else {
        Ok(p.clone())
    }
}

/// The last axis of `x` cut into `[.., groups, group]`.
fn groups(x: &Tensor, group: usize) -> Result<(Vec<usize>, Tensor)> {
    let mut shape = x.dims().to_vec();
    let width = shape.pop().unwrap_or(1);
    let cut = [&shape[..], &[width / group, group]].concat();
    let cut = x.reshape(cut)?;
    Ok((shape, cut))
}

fn reduce(kind: Reduction, x: &Tensor, group: usize) -> Result<Tensor> {
    let whole = x.dim(D::Minus1)? == group;
    match kind {
        Reduction::Sum if whole => x.sum_keepdim(D::Minus1),
        Reduction::Mean if whole => x.mean_keepdim(D::Minus1),
        Reduction::Sum => groups(x, group)?.1.sum(D::Minus1),
        Reduction::Mean => groups(x, group)?.1.mean(D::Minus1),
    }
}

fn repeat(x: &Tensor, block: usize, times: usize) -> Result<Tensor> {
    let (mut shape, cut) = groups(x, block)?;
    let count = cut.dim(D::Minus2)?;
    let wide = [&shape[..], &[count, times, block]].concat();
    shape.push(count * times * block);
    let y = cut.unsqueeze(D::Minus2)?.broadcast_as(wide)?;
    y.contiguous()?.reshape(shape)
}

/// `x W` over the last axis, as one product of matrices.
pub(super) fn matmul(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let inputs = shape.pop().unwrap_or(1);
    shape.push(weight.dim(1)?);
    x.reshape(((), inputs))?.matmul(weight)?.reshape(shape)
}

fn unary(f: Unary, x: &Tensor) -> Result<Tensor> {
    match f {
        Unary::Neg => x.neg(),
        Unary::Abs => x.abs(),
        Unary::Relu => x.relu(),
        Unary::Sigmoid => kernels::sigmoid(x),
        Unary::Tanh => x.tanh(),
        Unary::Exp => x.exp(),
        Unary::Log => x.log(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Sqrt => x.sqrt(),
        Unary::Erf => x.erf(),
    }
}

fn binary(f: Binary, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    match f {
        Binary::Add => x.broadcast_add(y),
        Binary::Sub => x.broadcast_sub(y),
        Binary::Mul => x.broadcast_mul(y),
        Binary::Div => x.broadcast_div(y),
        Binary::Min => x.broadcast_minimum(y),
        Binary::Max => x.broadcast_maximum(y),
    }
}
