//! Operations on single values and channels.

use minrnn_model::graph::{Binary, Node, Op, Unary, Value};

use super::Lower;
use crate::builder::Val;

impl Lower<'_> {
    pub(super) fn binary(&mut self, f: Binary, node: &Node) -> Val {
        if let Some(y) = self.binary_of_repeats(f, node) {
            return y;
        }
        let [x, y] = [0, 1].map(|i| self.value(node.inputs[i]));
        self.apply(f, x, y)
    }

    /// The function's name is the operator's.
    pub(super) fn apply(&mut self, f: Binary, x: Val, y: Val) -> Val {
        self.b.node(f.name(), &[x, y], vec![])
    }

    /// The function's name is the operator's; one engine's Sigmoid is not what it should be.
    pub(super) fn unary(&mut self, f: Unary, of: Value) -> Val {
        let x = self.value(of);
        match f {
            Unary::Sigmoid => self.sigmoid(of, x),
            other => self.b.node(other.name(), &[x], vec![]),
        }
    }

    /// `x * mul + add`, leaving out what does nothing.
    pub(super) fn affine(&mut self, x: Val, mul: f32, add: f32) -> Val {
        let scaled = if mul == 1.0 {
            x
        } else {
            let mul = self.b.f32(mul);
            self.b.mul(x, mul)
        };
        if add == 0.0 {
            return scaled;
        }
        let add = self.b.f32(add);
        self.b.add(scaled, add)
    }

    /// Channels `start..start + len`; where all parts of that size are taken, one Split gives them.
    pub(super) fn narrow(&mut self, node: &Node, start: usize, len: usize) -> Val {
        let source = node.inputs[0];
        let x = self.matrix(source);
        let (width, axis) = (self.graph.width(source), self.channels(node));
        if len == width {
            return x;
        }
        let taken = |at: usize| {
            let part = |n: &&Node| n.inputs == [source] && n.op == Op::Narrow { start: at, len };
            self.graph.nodes().iter().any(|n| part(&n))
        };
        let all = width.is_multiple_of(len)
            && start.is_multiple_of(len)
            && (0..width).step_by(len).all(taken);
        if !all {
            return self.b.slice_at(x, start as i64, (start + len) as i64, axis);
        }
        let b = &mut self.b;
        self.parts
            .entry((source, len))
            .or_insert_with(|| b.split(x, width / len, axis))[start / len]
    }
}
