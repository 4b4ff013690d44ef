//! `1 / (1 + e^-x)` without the engine's Sigmoid.
//!
//! One engine's Sigmoid never falls below 4.5e-7, so that a closed gate leaks 5e-7 a step. Here
//! `e^min(x, 0) / (1 + e^-|x|)`: every exponent is at most 0, and the quotient reaches 0 and 1 as f32 allows.

use minrnn_model::graph::{Op, Unary, Value};

use super::Lower;
use crate::builder::Val;

impl Lower<'_> {
    /// `x` is the ONNX value of the node `of`. Sigmoids of x and -x share their denominator: |x| = |-x|, bit for bit.
    pub(super) fn sigmoid(&mut self, of: Value, x: Val) -> Val {
        let zero = self.b.f32(0.0);
        let low = self.b.min(x, zero);
        let numerator = self.b.exp(low);
        let mut base = of;
        while let (Op::Unary(Unary::Neg), [inner]) =
            (self.graph.node(base).op, &self.graph.node(base).inputs[..])
        {
            base = *inner;
        }
        let denominator = match self.denominators.get(&base) {
            Some(shared) => *shared,
            None => {
                let magnitude = self.value(base);
                let magnitude = self.b.abs(magnitude);
                let minus = self.b.neg(magnitude);
                let e = self.b.exp(minus);
                let one = self.b.f32(1.0);
                let sum = self.b.add(e, one);
                self.denominators.insert(base, sum);
                sum
            }
        };
        self.b.div(numerator, denominator)
    }
}
