//! Values that are computed from parameters alone: made where they are first read, each once.
//!
//! A vector is an initializer of rank 1 and a number one of rank 0, which elementwise operations take as they are; all others take
//! `[rows, width]`.

use minrnn_model::graph::{Node, Op, Span, Value};

use super::Lower;
use crate::builder::Val;

impl Lower<'_> {
    /// How many axes the value of a node has that is computed from parameters alone.
    fn rank(&self, value: Value) -> usize {
        let node = self.graph.node(value);
        let of = |v: &Value| self.rank(*v);
        match node.op {
            Op::Param { param } => self.graph.param_spec(param).shape.len(),
            Op::Const { .. } => 0,
            Op::Unary(_) | Op::Binary(_) | Op::Affine { .. } => {
                node.inputs.iter().map(of).max().unwrap_or(0)
            }
            Op::Row { .. } if self.rows_of(node.inputs[0]) == 1 => of(&node.inputs[0]),
            _ => 2,
        }
    }

    fn rows_of(&self, value: Value) -> usize {
        match self.graph.span(value) {
            Span::Model { rows } => rows,
            Span::Row | Span::Step => 1,
        }
    }

    /// A value with an axis of rows, if it is computed from parameters alone; else as it is.
    pub(super) fn matrix(&mut self, value: Value) -> Val {
        let x = self.value(value);
        if !self.graph.span(value).is_model() || self.rank(value) == 2 {
            return x;
        }
        let dims = [1, self.graph.width(value) as i64];
        self.b.reshape(x, &dims)
    }

    /// One row of a value, as something that `[.., width]` can be multiplied with. Where every row is read, one Split gives them.
    pub(super) fn row(&mut self, source: Value, row: usize) -> Val {
        let rows = self.rows_of(source);
        let whole = self.value(source);
        if rows == 1 {
            return whole;
        }
        let taken = |row: usize| {
            let reads = |n: &Node| n.op == Op::Row { row } && n.inputs == [source];
            self.graph.nodes().iter().any(reads)
        };
        if !(0..rows).all(taken) {
            return self.b.slice_at(whole, row as i64, row as i64 + 1, 0);
        }
        let b = &mut self.b;
        self.rows
            .entry(source)
            .or_insert_with(|| b.split(whole, rows, 0))[row]
    }

    /// `x W`: by a parameter in the type that it is stored in, by a computed matrix in f32.
    pub(super) fn matmul(&mut self, node: &Node, transposed: bool) -> Val {
        let x = self.matrix(node.inputs[0]);
        if let Some(weight) = self.graph.weight(node) {
            let axis = self.channels(node);
            return self.product(weight, transposed, x, axis);
        }
        let w = self.matrix(node.inputs[1]);
        let w = self.turned(w, transposed);
        self.b.matmul(x, w)
    }

    /// A matrix as the right side of a product.
    pub(super) fn turned(&mut self, w: Val, transposed: bool) -> Val {
        if transposed {
            self.b.transpose(w, &[1, 0])
        } else {
            w
        }
    }
}
