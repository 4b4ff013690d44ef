//! Primitive operations.

use super::{Binary, Param, State, Unary};

/// A primitive operation. `x` is its argument; results keep the width and the [`Span`](super::Span) unless stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// The model's input: token ids, or features `[B, T, F]`. Always node 0.
    Input,
    /// A parameter as a value: `[rows, width]`, a vector as one row.
    Param {
        /// `[width]`, or `[rows, width]`.
        param: Param,
    },
    /// A number: one row of width 1.
    Const {
        /// Finite, as f32 too.
        value: f64,
    },
    /// Row `row` of a value that is computed from parameters alone.
    Row {
        /// Which.
        row: usize,
    },
    /// Row of the table `[V, M]` for each token id, the input's, or for each whole number of a computed value of width 1. Outside of the
    /// table is an error.
    Embed {
        /// `[V, M]`.
        table: Param,
    },
    /// `x W`, x `[.., K]`; arguments x and W, which is computed from parameters alone.
    MatMul {
        /// W is `[N, K]`, one row an output (as a table of embeddings is); else `[K, N]`.
        transposed: bool,
    },
    /// One argument, elementwise.
    Unary(Unary),
    /// Two arguments, elementwise; an argument of width 1, or of one row that is computed from parameters alone, is repeated.
    Binary(Binary),
    /// `x * mul + add`, the product rounded first.
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// Each `group` neighbouring channels become one.
    Reduce {
        /// How.
        kind: Reduction,
        /// Channels in a group; their number divides the width.
        group: usize,
    },
    /// Each `block` neighbouring channels, `times` times one after the other: block 1 repeats each channel, block = width all of them.
    Repeat {
        /// Channels; their number divides the width.
        block: usize,
        /// How often.
        times: usize,
    },
    /// Channels `start..start + len`.
    Narrow {
        /// First channel.
        start: usize,
        /// Channels.
        len: usize,
    },
    /// All arguments, side by side in the channels.
    Concat,
    /// `y[t] = x[t - by]`; before the sequence's begin, rows of the state (the last `lag` inputs). Of a state that holds the last value of
    /// a recurrence: its value of the step before, `by` being 1 and `x` the recurrence.
    Delay {
        /// A window with `lag >= by`, or the state of a recurrence.
        state: State,
        /// Steps.
        by: usize,
    },
    /// `y[t] = sum_j taps[j] * x[t - j]`, channel by channel; arguments x and the taps `[lag + 1, width]`, which are computed from parameters
    /// alone. Before the sequence's begin, rows of the state. Sums go from the oldest row to the newest.
    Conv {
        /// A window.
        state: State,
    },
    /// 1, where its argument, one whole number a step, is from 0 to `most`; anything else is an error in every engine.
    Limit {
        /// Below 2^24, so that f32 counts to it.
        most: usize,
    },
    /// A state's feedback, elementwise; `h[-1]` is the state.
    Recur {
        /// A state that holds a value.
        state: State,
        /// How h follows from the step before, and what the arguments are.
        law: Law,
    },
    /// Causal attention over a window. Arguments q `[B, T, D]`, `[k | v]` `[B, T, 2D]`, which the state holds the last `lag` rows of, and n
    /// ([`Graph::steps`](super::Graph::steps)), steps since the begin with this one. Each head of P = D / `heads` channels sees this row and the ones before it, the
    /// last min(n, lag + 1) in all: `y = sum p v`, `p = softmax(q . k / sqrt(P))`.
    Attend {
        /// A window `[lag, 2D]`.
        state: State,
        /// Their number divides D.
        heads: usize,
        /// In training each p becomes zero with this probability, in `[0, 1)`, else `p / (1 - dropout)`.
        dropout: f64,
    },
    /// In a fold's body, first: what the state was before the step. No argument.
    Before {
        /// A state that holds a value.
        state: State,
    },
    /// Ends a fold's body: its argument is the state after the step. See [`Graph::fold`](super::Graph::fold).
    Fold {
        /// A state that holds a value.
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

/// How a group of channels becomes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

/// The law of a recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// `h[t] = a[t] * h[t-1] + b[t]`, real, the product rounded first; arguments a, b.
    Linear,
    /// `h[t] = max(h[t-1], b[t])`; argument b. Where both are equal the gradient is b's.
    Max,
    /// `h[t] = a[t] * h[t-1] + b[t]`, complex, every product and sum of real numbers rounded; arguments a, b. A value of width 2N holds N
    /// numbers as `[re | im]`.
    Complex,
}

impl Law {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Linear, Self::Max, Self::Complex];

    /// How many arguments it has.
    pub fn arity(self) -> usize {
        match self {
            Self::Linear | Self::Complex => 2,
            Self::Max => 1,
        }
    }
    /// Its name in messages and in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Max => "max",
            Self::Complex => "complex",
        }
    }
}

impl Op {
    /// The operation's name in messages and scopes.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "Input",
            Op::Param { .. } => "Param",
            Op::Const { .. } => "Const",
            Op::Row { .. } => "Row",
            Op::Embed { .. } => "Embed",
            Op::MatMul { .. } => "MatMul",
            Op::Unary(u) => u.name(),
            Op::Binary(b) => b.name(),
            Op::Affine { .. } => "Affine",
            Op::Reduce { .. } => "Reduce",
            Op::Repeat { .. } => "Repeat",
            Op::Narrow { .. } => "Narrow",
            Op::Concat => "Concat",
            Op::Delay { .. } => "Delay",
            Op::Conv { .. } => "Conv",
            Op::Limit { .. } => "Limit",
            Op::Recur { .. } => "Recur",
            Op::Attend { .. } => "Attend",
            Op::Before { .. } => "Before",
            Op::Fold { .. } => "Fold",
            Op::Dropout { .. } => "Dropout",
            Op::Last => "Last",
        }
    }
    /// The probability of a zero where it has one in training: what draws masks, and is counted as a site of dropout.
    pub fn drops(&self) -> Option<f64> {
        match *self {
            Op::Dropout { p } => Some(p),
            Op::Attend { dropout, .. } if dropout > 0.0 => Some(dropout),
            _ => None,
        }
    }
    /// The parameter that it reads.
    pub fn param(&self) -> Option<Param> {
        match *self {
            Op::Embed { table: p } | Op::Param { param: p } => Some(p),
            _ => None,
        }
    }
    /// The state that it reads.
    pub fn state(&self) -> Option<State> {
        match *self {
            Op::Delay { state, .. }
            | Op::Recur { state, .. }
            | Op::Conv { state }
            | Op::Attend { state, .. } => Some(state),
            Op::Before { state } | Op::Fold { state } => Some(state),
            _ => None,
        }
    }
}
