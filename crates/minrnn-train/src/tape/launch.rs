//! What a plan is made of: places in memory, and launches over them.

use minrnn_kernels::{Candidate, Elem};

/// Where a [`Place`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// All parameters, f32, as [`Layout`](super::Layout) lays them out.
    Params,
    /// The parameters again, rounded to the compute type.
    Shadow,
    /// Gradients of all parameters, f32, laid out alike.
    Grads,
    /// First moments, laid out alike.
    First,
    /// Second moments, laid out alike.
    Second,
    /// Scratch of the recurrences: zero once, kept valid by the kernels.
    Scan,
    /// Seed, step, learning rate: written by the host before each step, `u32 [16]`.
    Control,
    /// Norm of the gradient and clip factor, f32 `[2]`.
    Report,
    /// What was not finite first, `u32 [4]`; 0: nothing.
    Latch,
    /// Token ids `[B,T]`.
    Ids,
    /// Features `[B,T,F]`.
    Features,
    /// Target classes.
    Targets,
    /// Target values.
    TargetValues,
    /// Weights of the targets.
    Weights,
    /// Lengths of the rows, `[B]`.
    Lens,
    /// Loss f32 `[1]`.
    Loss,
    /// Targets met, u32 `[1]`.
    Correct,
    /// A buffer of the plan.
    Buffer(usize),
}

/// Some elements in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub space: Space,
    /// First element.
    pub offset: usize,
    /// Elements.
    pub len: usize,
    /// Their type.
    pub elem: Elem,
}

impl Place {
    pub(super) fn new(space: Space, len: usize, elem: Elem) -> Self {
        Self {
            space,
            offset: 0,
            len,
            elem,
        }
    }
    pub(super) fn part(self, offset: usize, len: usize) -> Self {
        debug_assert!(offset + len <= self.len);
        Self {
            offset: self.offset + offset,
            len,
            ..self
        }
    }
}

/// A dropout: probability and site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask {
    /// Probability of a zero, in (0, 1).
    pub p: f64,
    /// Which dropout of the model.
    pub site: u32,
}

/// A cell with its recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `[k | v]`.
    MinGru(Candidate),
    /// `[p | q | v]`; whether gates are normalised.
    MinLstm(Candidate, bool),
}

impl Cell {
    /// Parts in its input.
    pub fn parts(self) -> usize {
        match self {
            Self::MinGru(_) => 2,
            Self::MinLstm(..) => 3,
        }
    }
}

/// Which normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// By the root of the mean square.
    Rms,
    /// By mean and deviation.
    Layer,
}

/// Activation with a kernel of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationKind {
    /// By the error function.
    GeluErf,
    /// By tanh.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
}

/// Elementwise function of one argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map1 {
    /// A primitive.
    Unary(minrnn_model::graph::Unary),
    /// `x * mul + add`.
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// x, perhaps in another type.
    Copy,
}

/// B, T and the width of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// Channels.
    pub width: usize,
}

/// A block of columns in a matrix: `rows` rows of `stride` elements, columns from `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The whole matrix.
    pub place: Place,
    /// Elements in a row.
    pub stride: usize,
    /// First column.
    pub from: usize,
}

/// One thing to do. `d...` are gradients; `add` says whether a result is added to what is there.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    missing_docs,
    reason = "fields bear the letters of the variant's documentation"
)]
pub enum Launch {
    /// Sets all bytes to 0.
    Zero { to: Place },
    /// `y = table[ids]`, then dropout.
    Embed {
        ids: Place,
        table: Place,
        mask: Option<Mask>,
        y: Place,
        rows: usize,
        width: usize,
        vocab: usize,
    },
    /// Gradient of the table.
    EmbedGrad {
        ids: Place,
        dy: Place,
        mask: Option<Mask>,
        dtable: Place,
        scratch: Place,
        rows: usize,
        width: usize,
        vocab: usize,
    },
    /// `c [m,n] = a [m,k] b [k,n] (+ bias)`.
    Matmul {
        a: Place,
        a_transposed: bool,
        b: Place,
        b_transposed: bool,
        bias: Option<Place>,
        c: Place,
        m: usize,
        n: usize,
        k: usize,
        add: bool,
    },
    /// `out[j] = sum_i x[i,j]`.
    ColumnSum {
        x: Place,
        out: Place,
        scratch: Place,
        rows: usize,
        width: usize,
        add: bool,
    },
    /// `s = x + dropout(branch)` (if there is a branch), `y = norm(s)`.
    Norm {
        kind: NormKind,
        x: Place,
        branch: Option<(Place, Option<Mask>, Place)>,
        weight: Place,
        bias: Option<Place>,
        eps: f64,
        y: Place,
        stats: Place,
        rows: usize,
        width: usize,
    },
    /// `ds = dsum + J^T dy`; `da = mask * ds` for the branch.
    NormGrad {
        kind: NormKind,
        s: Place,
        weight: Place,
        stats: Place,
        dy: Place,
        dsum: Option<Place>,
        ds: Place,
        branch: Option<(Place, Option<Mask>)>,
        /// Sums of the columns of da.
        sums: Option<Place>,
        dweight: Place,
        dbias: Option<Place>,
        scratch: Place,
        rows: usize,
        width: usize,
    },
    /// `y = x + dropout(a)`, or `dropout(a)` alone.
    AddDropout {
        x: Option<Place>,
        a: Place,
        mask: Option<Mask>,
        y: Place,
    },
    /// Depthwise causal convolution.
    Conv {
        x: Place,
        state: Option<Place>,
        weight: Place,
        bias: Option<Place>,
        y: Place,
        size: Size,
        kernel: usize,
    },
    /// Its gradients.
    ConvGrad {
        x: Place,
        state: Option<Place>,
        weight: Place,
        dy: Place,
        dx: Place,
        dweight: Place,
        dbias: Option<Place>,
        dstate: Option<Place>,
        scratch: Place,
        size: Size,
        kernel: usize,
    },
    /// An activation.
    Activation {
        kind: ActivationKind,
        x: Place,
        y: Place,
    },
    /// Its gradient; `dx` may be `x` or `dy`. With the sums of the columns of dx, and scratch for them.
    ActivationGrad {
        kind: ActivationKind,
        x: Place,
        dy: Place,
        dx: Place,
        sums: Option<(Place, Place)>,
    },
    /// A cell: gates and recurrence.
    Cell {
        cell: Cell,
        x: Place,
        h0: Option<Place>,
        h: Place,
        scratch: Place,
        size: Size,
    },
    /// Its gradients; `dx` may be `x`.
    CellGrad {
        cell: Cell,
        x: Place,
        h0: Option<Place>,
        h: Place,
        dh: Place,
        dx: Place,
        dh0: Option<Place>,
        scratch: Place,
        size: Size,
    },
    /// `h[t] = a[t] h[t-1] + b[t]`.
    Scan {
        a: Place,
        b: Place,
        h0: Option<Place>,
        h: Place,
        scratch: Place,
        size: Size,
    },
    /// Its gradients.
    ScanGrad {
        a: Place,
        h0: Option<Place>,
        h: Place,
        dh: Place,
        da: Place,
        db: Place,
        dh0: Option<Place>,
        scratch: Place,
        size: Size,
    },
    /// `y = f(x)`, or `y += f(x)`.
    Map1 {
        f: Map1,
        x: Place,
        y: Place,
        add: bool,
    },
    /// `dx (+)= f'(x) dy`.
    Map1Grad {
        f: Map1,
        x: Place,
        dy: Place,
        dx: Place,
        add: bool,
    },
    /// `y = f(a, b)`; an argument of width 1 is repeated.
    Map2 {
        f: minrnn_model::graph::Binary,
        a: Place,
        b: Place,
        y: Place,
        rows: usize,
        width: usize,
    },
    /// Gradient of one argument; of width 1: summed over the channels.
    Map2Grad {
        f: minrnn_model::graph::Binary,
        /// 0 or 1.
        which: usize,
        a: Place,
        b: Place,
        dy: Place,
        dx: Place,
        rows: usize,
        width: usize,
        add: bool,
    },
    /// `y = x + p` or `x * p`, p one row.
    Vec {
        multiply: bool,
        x: Place,
        p: Place,
        y: Place,
        rows: usize,
        width: usize,
        add: bool,
    },
    /// Mean over the channels.
    Mean {
        x: Place,
        y: Place,
        rows: usize,
        width: usize,
    },
    /// `dx (+)= dy / width`.
    MeanGrad {
        dy: Place,
        dx: Place,
        rows: usize,
        width: usize,
        add: bool,
    },
    /// Columns to columns.
    CopyColumns {
        from: Columns,
        to: Columns,
        rows: usize,
        width: usize,
        add: bool,
    },
    /// `y[t] = x[t - by]`, before the begin the state `[B, lag, width]` or zeros.
    Delay {
        x: Place,
        state: Option<Place>,
        y: Place,
        size: Size,
        lag: usize,
        by: usize,
    },
    /// `dx[t] (+)= dy[t + by]`; `dstate += ` what reached the state.
    DelayGrad {
        dy: Place,
        dx: Place,
        dstate: Option<Place>,
        size: Size,
        lag: usize,
        by: usize,
        add: bool,
    },
    /// Last step of each row.
    Last {
        x: Place,
        lens: Option<Place>,
        y: Place,
        size: Size,
    },
    /// `dx`: dy at the last step, else 0 (or what is there, with `add`).
    LastGrad {
        dy: Place,
        lens: Option<Place>,
        dx: Place,
        size: Size,
        add: bool,
    },
    /// Every row becomes `p`.
    Repeat { p: Place, y: Place, rows: usize },
    /// Mean cross-entropy and its gradient.
    CrossEntropy {
        logits: Place,
        targets: Place,
        weights: Option<Place>,
        loss: Place,
        dlogits: Option<Place>,
        scratch: Place,
        rows: usize,
        width: usize,
    },
    /// Targets that are the largest logit.
    Correct {
        logits: Place,
        targets: Place,
        weights: Option<Place>,
        out: Place,
        scratch: Place,
        rows: usize,
        width: usize,
    },
    /// Mean squared error and its gradient.
    MeanSquare {
        y: Place,
        targets: Option<Place>,
        weights: Option<Place>,
        loss: Place,
        dy: Option<Place>,
        scratch: Place,
        rows: usize,
        width: usize,
    },
    /// Norm of all gradients, clip factor, and whether all is finite.
    GradNorm { grads: Place, scratch: Place },
    /// AdamW on all parameters at once.
    AdamW { len: usize, decayed: usize },
}
