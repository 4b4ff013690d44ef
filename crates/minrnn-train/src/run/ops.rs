//! Primitive operations as candle tensors.

use candle_core::{D, DType, Result, Tensor};
use minrnn_kernels as kernels;
use minrnn_model::graph::{Binary, Input, Op, Unary};

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
        let x = self.value(node.inputs[0]);
        let row = |param: minrnn_model::graph::Param, row: usize| {
            let p = self.weights.get(param.index());
            if p.rank() == 2 {
                p.get(row)
            } else {
                Ok(p.clone())
            }
        };
        match node.op {
            Op::Input => unreachable!("returned above"),
            Op::Embed { table } => {
                let rows = kernels::embedding(self.weights.get(table.index()), &x.flatten_all()?)?;
                rows.reshape((self.batch, self.time, node.width))
            }
            Op::MatMul { weight } => matmul(x, self.weights.get(weight.index())),
            Op::AddVec { param, row: r } => x.broadcast_add(&row(param, r)?),
            Op::MulVec { param, row: r } => x.broadcast_mul(&row(param, r)?),
            Op::Unary(f) => unary(f, x),
            Op::Binary(f) => binary(f, x, self.value(node.inputs[1])),
            Op::Affine { mul, add } => x.affine(mul, add),
            Op::Mean => x.mean_keepdim(D::Minus1),
            Op::Narrow { start, len } => x.narrow(D::Minus1, start, len)?.contiguous(),
            Op::Concat => {
                let parts: Vec<&Tensor> = node.inputs.iter().map(|v| self.value(*v)).collect();
                Tensor::cat(&parts, D::Minus1)
            }
            Op::Delay { state, by } => self.delay(x, state, by),
            Op::Recur { state } => self.recur(x, self.value(node.inputs[1]), state),
            Op::Last => time::last(x, self.run.lens),
            Op::Dropout { p } => {
                *site += 1;
                match &self.run.dropout {
                    Some(dropout) => dropout.apply(x, p, *site - 1),
                    None => Ok(x.clone()),
                }
            }
        }
    }
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
    }
}
