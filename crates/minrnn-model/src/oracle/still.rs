//! What knows no time: the value of a node from its arguments, and where parameters are read.

use super::tensor::{Shape, Tensor};
use super::{Run, Weights, ops, product};
use crate::graph::{Graph, Node, Op, Use};

/// A graph with its parameters.
#[derive(Clone, Copy)]
pub(super) struct Still<'a> {
    pub(super) graph: &'a Graph,
    pub(super) params: Weights<'a>,
    /// By node: whether it is a parameter that is read where it is.
    pub(super) stays: &'a [bool],
    pub(super) uses: &'a [Use],
}

impl Still<'_> {
    /// The value of a node that reads neither the past nor a last step; `x`: its arguments, but for those that stay.
    pub(super) fn value<'t>(
        &self,
        node: &Node,
        x: &dyn Fn(usize) -> &'t Tensor,
        shape: Shape,
        run: &Run,
    ) -> Tensor {
        let (graph, params) = (self.graph, self.params);
        let stays = |i: usize| self.stays[node.inputs[i].index()];
        match node.op {
            Op::MatMul { transposed } => {
                let w = match graph.as_param(node.inputs[1]) {
                    Some(param) if stays(1) => product::Matrix::Param(param, params),
                    _ => product::Matrix::Value(x(1)),
                };
                let weight = graph.weight(node);
                let narrow = weight.filter(|p| self.uses[p.index()].is_narrow());
                product::matmul(x(0), w, transposed, shape, run, narrow)
            }
            Op::Row { row } if stays(0) => {
                let param = graph.as_param(node.inputs[0]);
                ops::parameter(
                    params,
                    param.expect("only parameters stay"),
                    row..row + 1,
                    shape,
                    run.bounds,
                )
            }
            Op::Param { param } => ops::parameter(params, param, 0..shape.batch, shape, run.bounds),
            op => {
                let x: Vec<&Tensor> = (0..node.inputs.len()).map(x).collect();
                ops::apply(op, params, shape, &x, run)
            }
        }
    }
}
