//! Short names for the operations that layers write most.

use super::{Binary, Graph, Holds, Law, Op, Param, Reduction, State, StateInit, Unary, Value};
use crate::error::Result;

impl Graph {
    /// Elementwise function of one argument.
    ///
    /// # Errors
    /// See [`Graph::op`]; so for all below.
    pub fn unary(&mut self, f: Unary, x: Value) -> Result<Value> {
        self.op(Op::Unary(f), &[x])
    }
    /// `x + y`.
    ///
    /// # Errors
    /// Widths that differ, neither being 1; so for all below.
    pub fn add(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Add), &[x, y])
    }
    /// `x - y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn sub(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Sub), &[x, y])
    }
    /// `x * y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn mul(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Mul), &[x, y])
    }
    /// `x / y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn div(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Div), &[x, y])
    }
    /// The smaller of x and y.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn min(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Min), &[x, y])
    }
    /// The larger of x and y.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn max(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Max), &[x, y])
    }
    /// A parameter as a value `[rows, width]`, a vector as one row.
    ///
    /// # Errors
    /// A parameter of more than two dimensions.
    pub fn read(&mut self, param: Param) -> Result<Value> {
        self.op(Op::Param { param }, &[])
    }
    /// Row `row` of a parameter as a value.
    ///
    /// # Errors
    /// A parameter of more than two dimensions, or of fewer rows.
    pub fn read_row(&mut self, param: Param, row: usize) -> Result<Value> {
        let whole = self.read(param)?;
        self.op(Op::Row { row }, &[whole])
    }
    /// A number as a value of width 1.
    ///
    /// # Errors
    /// A number that is not finite as f32.
    pub fn constant(&mut self, value: f64) -> Result<Value> {
        self.op(Op::Const { value }, &[])
    }
    /// `x W`, W `[K, N]` a parameter or computed from parameters alone.
    ///
    /// # Errors
    /// Widths that do not fit; a W that depends on the input.
    pub fn matmul(&mut self, x: Value, w: Value) -> Result<Value> {
        self.op(Op::MatMul { transposed: false }, &[x, w])
    }
    /// `x W^T`, W `[N, K]`: the logits by a table of embeddings.
    ///
    /// # Errors
    /// See [`Graph::matmul`].
    pub fn matmul_transposed(&mut self, x: Value, w: Value) -> Result<Value> {
        self.op(Op::MatMul { transposed: true }, &[x, w])
    }
    /// Sum of each `group` neighbouring channels.
    ///
    /// # Errors
    /// A group that does not divide the width.
    pub fn sum(&mut self, x: Value, group: usize) -> Result<Value> {
        let kind = Reduction::Sum;
        self.op(Op::Reduce { kind, group }, &[x])
    }
    /// Mean of each `group` neighbouring channels.
    ///
    /// # Errors
    /// A group that does not divide the width.
    pub fn mean(&mut self, x: Value, group: usize) -> Result<Value> {
        let kind = Reduction::Mean;
        self.op(Op::Reduce { kind, group }, &[x])
    }
    /// Mean of all channels; width 1.
    ///
    /// # Errors
    /// See [`Graph::op`].
    pub fn mean_of_all(&mut self, x: Value) -> Result<Value> {
        self.mean(x, self.width(x))
    }
    /// Each `block` neighbouring channels, `times` times one after the other.
    ///
    /// # Errors
    /// A block that does not divide the width; no times.
    pub fn repeat(&mut self, x: Value, block: usize, times: usize) -> Result<Value> {
        self.op(Op::Repeat { block, times }, &[x])
    }
    /// `x * mul + add`.
    ///
    /// # Errors
    /// See [`Graph::op`].
    pub fn affine(&mut self, x: Value, mul: f64, add: f64) -> Result<Value> {
        self.op(Op::Affine { mul, add }, &[x])
    }
    /// Channels `start..start + len`.
    ///
    /// # Errors
    /// Channels beyond the width; no channels.
    pub fn narrow(&mut self, x: Value, start: usize, len: usize) -> Result<Value> {
        self.op(Op::Narrow { start, len }, &[x])
    }
    /// Equal parts of the channels.
    ///
    /// # Errors
    /// A width that is not a multiple of `parts`.
    pub fn split<const N: usize>(&mut self, x: Value) -> Result<[Value; N]> {
        let width = self.width(x);
        if !width.is_multiple_of(N) {
            return Err(self.shape_error(
                "split",
                format!("cannot cut {width} channels into {N} equal parts"),
            ));
        }
        let len = width / N;
        let mut parts = [x; N];
        for (i, part) in parts.iter_mut().enumerate() {
            *part = self.op(
                Op::Narrow {
                    start: i * len,
                    len,
                },
                &[x],
            )?;
        }
        Ok(parts)
    }
    /// The recurrence `h[t] = a[t] * h[t-1] + b[t]` with a state of its own, called `name` (`h` in the paper's cells).
    ///
    /// # Errors
    /// See [`Graph::state`] and [`Graph::op`].
    pub fn recurrence(&mut self, name: &str, a: Value, b: Value, init: StateInit) -> Result<Value> {
        self.recur(name, Law::Linear, &[a, b], init)
    }
    /// The recurrence of a law with a state of its own, called `name`, as wide as the first argument.
    ///
    /// # Errors
    /// See [`Graph::state`] and [`Graph::op`]; no argument.
    pub fn recur(&mut self, name: &str, law: Law, x: &[Value], init: StateInit) -> Result<Value> {
        let Some(first) = x.first() else {
            return Err(self.shape_error("Recur", "takes at least one argument"));
        };
        let state = self.state(name, self.width(*first), Holds::Value, init)?;
        self.op(Op::Recur { state, law }, x)
    }
    /// How many steps there were since the begin or the last reset, with this one: 1, 2, .. A graph has one such counter, a state `n` of the
    /// block that first asks for it (outside of blocks: block 0); `like` is any value with time, of which nothing else is read.
    ///
    /// # Errors
    /// See [`Graph::state`]; a value without time.
    pub fn steps(&mut self, like: Value) -> Result<Value> {
        if let Some(n) = (0..self.nodes().len()).find(|i| self.counts_steps(*i)) {
            return Ok(self.value_at(n));
        }
        let count = |g: &mut Self| {
            let one = g.narrow(like, 0, 1)?;
            let one = g.affine(one, 0.0, 1.0)?;
            g.recurrence("n", one, one, StateInit::Zero)
        };
        match self.block {
            Some(_) => count(self),
            None => self.block(0, count),
        }
    }
    /// The state of the counter of steps, if there is one.
    pub fn counter(&self) -> Option<State> {
        let at = (0..self.nodes().len()).find(|i| self.counts_steps(*i))?;
        self.nodes()[at].op.state()
    }
    /// Whether a node counts steps.
    pub(super) fn counts_steps(&self, node: usize) -> bool {
        let node = &self.nodes()[node];
        let Op::Recur {
            state,
            law: Law::Linear,
        } = node.op
        else {
            return false;
        };
        let one = Op::Affine { mul: 0.0, add: 1.0 };
        let ones = node.inputs.iter().all(|v| self.node(*v).op == one);
        ones && node.width == 1 && self.state_spec(state).init == StateInit::Zero
    }
    /// Causal attention of `heads` heads over a window of `lag` rows beside the present one, a state called `name`: q `[.., D]`, `[k | v]`
    /// `[.., 2D]`, n steps since the begin.
    ///
    /// # Errors
    /// See [`Graph::state`]; widths that do not fit.
    pub fn attend(
        &mut self,
        name: &str,
        [q, kv, n]: [Value; 3],
        heads: usize,
        lag: usize,
    ) -> Result<Value> {
        self.attend_dropping(name, [q, kv, n], (heads, lag), 0.0)
    }
    /// The same with a dropout on the weights of the rows: heads, lag, probability.
    ///
    /// # Errors
    /// As [`Graph::attend`]; a probability outside of `[0, 1)`.
    pub fn attend_dropping(
        &mut self,
        name: &str,
        [q, kv, n]: [Value; 3],
        (heads, lag): (usize, usize),
        dropout: f64,
    ) -> Result<Value> {
        let holds = Holds::Window { lag };
        let state = self.state(name, self.width(kv), holds, StateInit::Zero)?;
        let attend = Op::Attend {
            state,
            heads,
            dropout,
        };
        self.op(attend, &[q, kv, n])
    }
    /// What a recurrence, or the state of a fold, was before each step: at the begin its state, at a reset its initial value.
    ///
    /// # Errors
    /// A value that is no recurrence and no state of a fold.
    pub fn before(&mut self, h: Value) -> Result<Value> {
        match self.node(h).op {
            Op::Recur { state, .. } => self.op(Op::Delay { state, by: 1 }, &[h]),
            Op::Fold { state } => {
                let is = |i: &usize| self.node(Value(*i)).op == Op::Before { state };
                let before = (0..h.0).find(is).expect("a fold begins with its states");
                Ok(Value(before))
            }
            other => {
                Err(self.shape_error("Delay", format!("takes a recurrence, got {}", other.name())))
            }
        }
    }
}
