//! Operations on single values and channels.

use minrnn_model::graph::{Binary, Node, Op, Param, Unary, Value};

use super::Lower;
use crate::build::Val;

impl Lower<'_> {
    /// One row of a parameter, as something that `[.., width]` can be multiplied with.
    pub(super) fn row(&mut self, param: Param, row: usize) -> Val {
        let whole = self.param(param);
        match self.graph.param_spec(param).shape[..] {
            [count, _] if count > 1 => {
                let b = &mut self.b;
                self.rows
                    .entry(param)
                    .or_insert_with(|| b.split(whole, count, 0))[row]
            }
            _ => whole,
        }
    }

    pub(super) fn binary(&mut self, f: Binary, x: Val, y: Val) -> Val {
        match f {
            Binary::Add => self.b.add(x, y),
            Binary::Sub => self.b.sub(x, y),
            Binary::Mul => self.b.mul(x, y),
            Binary::Div => self.b.div(x, y),
            Binary::Min => self.b.min(x, y),
        }
    }

    pub(super) fn unary(&mut self, f: Unary, of: Value, x: Val) -> Val {
        match f {
            Unary::Neg => self.b.neg(x),
            Unary::Abs => self.b.abs(x),
            Unary::Relu => self.b.relu(x),
            Unary::Sigmoid => self.sigmoid(of, x),
            Unary::Tanh => self.b.tanh(x),
            Unary::Exp => self.b.exp(x),
            Unary::Sqrt => self.b.sqrt(x),
            Unary::Erf => self.b.erf(x),
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
    pub(super) fn narrow(&mut self, node: &Node, x: Val, start: usize, len: usize) -> Val {
        let source = node.inputs[0];
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
