//! Primitive operations.

use super::{Param, State};

/// A primitive operation. `x` is its argument; results keep the width unless stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// The model's input: token ids, or features `[B, T, F]`. Always node 0.
    Input,
    /// Row of the table `[V, M]` for each token id. Its argument is the input.
    Embed {
        /// `[V, M]`.
        table: Param,
    },
    /// `x W`, x `[.., K]`, W `[K, N]`.
    MatMul {
        /// `[K, N]`.
        weight: Param,
    },
    /// `x + p`, p one row `[width]` of the parameter.
    AddVec {
        /// `[width]`, or `[rows, width]`.
        param: Param,
        /// Which row.
        row: usize,
    },
    /// `x * p`, p one row `[width]` of the parameter.
    MulVec {
        /// `[width]`, or `[rows, width]`.
        param: Param,
        /// Which row.
        row: usize,
    },
    /// One argument, elementwise.
    Unary(Unary),
    /// Two arguments, elementwise; an argument of width 1 is repeated.
    Binary(Binary),
    /// `x * mul + add`, the product rounded first.
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// Mean over the channels; width 1.
    Mean,
    /// Channels `start..start + len`.
    Narrow {
        /// First channel.
        start: usize,
        /// Channels.
        len: usize,
    },
    /// All arguments, side by side in the channels.
    Concat,
    /// `y[t] = x[t - by]`; before the sequence's begin, rows of the state (the last `lag` inputs).
    Delay {
        /// A state with `lag >= by`.
        state: State,
        /// Steps.
        by: usize,
    },
    /// The recurrence `h[t] = a[t] * h[t-1] + b[t]`, elementwise, product rounded first; arguments a, b; `h[-1]` is the state.
    Recur {
        /// A state with `lag == None`.
        state: State,
    },
    /// In training: zero with probability p, else `x / (1 - p)`. Otherwise x.
    Dropout {
        /// Probability, in `[0, 1)`.
        p: f64,
    },
    /// The last step of each row: `[B, T, width]` to `[B, width]` (with `lens`, step `lens - 1`). In the step form: x.
    Last,
}

/// Elementwise functions of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `max(x, 0)`; its slope at 0 is 0.
    Relu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`
    Exp,
    /// Square root.
    Sqrt,
    /// Error function.
    Erf,
}

/// Elementwise functions of two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `x + y`
    Add,
    /// `x - y`
    Sub,
    /// `x * y`
    Mul,
    /// `x / y`
    Div,
    /// The smaller one; where both are equal, the slope goes to x.
    Min,
}

impl Op {
    /// The operation's name in messages and scopes.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "Input",
            Op::Embed { .. } => "Embed",
            Op::MatMul { .. } => "MatMul",
            Op::AddVec { .. } => "AddVec",
            Op::MulVec { .. } => "MulVec",
            Op::Unary(u) => u.name(),
            Op::Binary(b) => b.name(),
            Op::Affine { .. } => "Affine",
            Op::Mean => "Mean",
            Op::Narrow { .. } => "Narrow",
            Op::Concat => "Concat",
            Op::Delay { .. } => "Delay",
            Op::Recur { .. } => "Recur",
            Op::Dropout { .. } => "Dropout",
            Op::Last => "Last",
        }
    }
    /// The parameter that it reads.
    pub fn param(&self) -> Option<Param> {
        match *self {
            Op::Embed { table: p }
            | Op::MatMul { weight: p }
            | Op::AddVec { param: p, .. }
            | Op::MulVec { param: p, .. } => Some(p),
            _ => None,
        }
    }
    /// The state that it reads.
    pub fn state(&self) -> Option<State> {
        match *self {
            Op::Delay { state, .. } | Op::Recur { state } => Some(state),
            _ => None,
        }
    }
}

impl Unary {
    /// The function's name (the ONNX operator's).
    pub fn name(self) -> &'static str {
        match self {
            Unary::Neg => "Neg",
            Unary::Abs => "Abs",
            Unary::Relu => "Relu",
            Unary::Sigmoid => "Sigmoid",
            Unary::Tanh => "Tanh",
            Unary::Exp => "Exp",
            Unary::Sqrt => "Sqrt",
            Unary::Erf => "Erf",
        }
    }
}

impl Binary {
    /// The function's name (the ONNX operator's).
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "Add",
            Binary::Sub => "Sub",
            Binary::Mul => "Mul",
            Binary::Div => "Div",
            Binary::Min => "Min",
        }
    }
}
