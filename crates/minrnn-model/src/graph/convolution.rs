//! Convolutions whose taps are values, and limits: their shapes, their short names, and the longest sequence that they leave a model.

use super::shape::Shape;
use super::{Graph, Holds, Law, Op, Span, State, StateInit, Unary, Value};
use crate::error::Result;

/// Whole numbers up to here are numbers of f32, and so are their neighbours.
const COUNTED: usize = 1 << 24;

impl Graph {
    pub(super) fn shape_of_conv(&self, op: Op, x: &[Value], state: State) -> Result<Shape> {
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        self.takes_steps(op, &x[..1])?;
        let (s, width) = (self.state_spec(state), self.width(x[0]));
        let Span::Model { rows } = self.span(x[1]) else {
            return fail(
                "takes taps that are computed from parameters alone; these depend on the input"
                    .into(),
            );
        };
        if self.width(x[1]) != width {
            let taps = self.width(x[1]);
            return fail(format!("takes taps of {width} channels, got {taps}"));
        }
        match s.lag() {
            Some(lag) if s.width == width && lag + 1 == rows => Ok((width, Span::Step)),
            _ => fail(format!(
                "of {rows} taps and {width} channels does not fit the state `{}` of shape {:?}: it holds one row less than there are taps",
                s.name,
                s.shape()
            )),
        }
    }

    pub(super) fn shape_of_limit(&self, op: Op, x: &[Value], most: usize) -> Result<Shape> {
        self.takes_steps(op, x)?;
        if self.width(x[0]) != 1 {
            let what = format!("takes one number a step, got {}", self.width(x[0]));
            return Err(self.shape_error(op.name(), what));
        }
        if !(1..COUNTED).contains(&most) {
            let what = format!("takes a limit from 1 to {}, got {most}", COUNTED - 1);
            return Err(self.shape_error(op.name(), what));
        }
        Ok((1, Span::Step))
    }

    /// States that count steps, each with the most that it may count to.
    pub fn counts(&self) -> Vec<(State, usize)> {
        let of = |n: &super::Node| match (n.op, n.inputs.first().map(|v| self.node(*v).op)) {
            (Op::Limit { most }, Some(Op::Recur { state, .. })) => Some((state, most)),
            _ => None,
        };
        self.nodes().iter().filter_map(of).collect()
    }

    /// All states that count steps, whose values are whole numbers from 0 on.
    pub fn counters(&self) -> Vec<State> {
        let limited = self.counts().into_iter().map(|(state, _)| state);
        limited.chain(self.counter()).collect()
    }

    /// Convolution of x with taps `[rows, width]`, with a window of its own called `name`, which begins with zeros.
    ///
    /// # Errors
    /// See [`Graph::state`] and [`Graph::op`]; fewer than two taps.
    pub fn convolution(&mut self, name: &str, x: Value, taps: Value) -> Result<Value> {
        let lag = match self.span(taps) {
            Span::Model { rows } => rows.saturating_sub(1),
            _ => 1,
        };
        let (width, holds) = (self.width(x), Holds::Window { lag });
        let state = self.state(name, width, holds, StateInit::Zero)?;
        self.op(Op::Conv { state }, &[x, taps])
    }

    /// 1 for each step of x, up to step number `most` of a sequence, counted in a state of its own, called `name`; a later one is an error
    /// in every engine.
    ///
    /// # Errors
    /// See [`Graph::state`] and [`Graph::op`]; a limit that f32 does not count to.
    pub fn limited(&mut self, name: &str, x: Value, most: usize) -> Result<Value> {
        // Ones of as many steps as x has: what is below 0 and not is 0.
        let first = self.narrow(x, 0, 1)?;
        let size = self.unary(Unary::Abs, first)?;
        let below = self.unary(Unary::Neg, size)?;
        let nothing = self.unary(Unary::Relu, below)?;
        let one = self.affine(nothing, 1.0, 1.0)?;
        let count = self.recur(name, Law::Linear, &[one, one], StateInit::Zero)?;
        self.op(Op::Limit { most }, &[count])
    }
}
