//! What a tensor of the graph is, as far as the compiler follows it.

use std::rc::Rc;

use super::constant::Constant;
pub(super) use super::elem::Elem;
use super::length::Length;

/// When a value exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Once for each row of the batch, before the first step.
    Begin,
    /// For each row of the batch and each step.
    Rows,
    /// Once for each row of the batch, after the last step.
    End,
}

impl Phase {
    /// For messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Begin => "before the first step",
            Self::Rows => "of each step",
            Self::End => "after the last step",
        }
    }
}

/// `width` values at `offset` of each row of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) reg: usize,
    pub(super) offset: usize,
    pub(super) width: usize,
}

/// A tensor `[B, dims..]`, or `[B, extent, dims..]` where it has one entry for each step.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) phase: Phase,
    pub(super) elem: Elem,
    pub(super) at: View,
    pub(super) dims: Vec<usize>,
    /// Length of the time axis; at least T. Rows from T on are never computed: nothing before T depends on them. `None`: no
    /// time axis.
    pub(super) extent: Option<Length>,
}

impl Flow {
    /// How many axes stand before `dims`.
    pub(super) fn lead(&self) -> usize {
        1 + usize::from(self.extent.is_some())
    }

    pub(super) fn rank(&self) -> usize {
        self.lead() + self.dims.len()
    }

    pub(super) fn width(&self) -> usize {
        self.at.width
    }
}

/// A tensor with `n` entries of the past before the first step: `[B, n + extent of x, dims..]`, perhaps cut behind T.
#[derive(Debug, Clone)]
pub(super) struct Extended {
    /// The carry that holds the past.
    pub(super) carry: usize,
    pub(super) n: usize,
    pub(super) x: Flow,
    pub(super) extent: Length,
}

/// The result of a convolution in blocks of steps: `[B, D K, blocks]`, `[B, D, K, blocks]`, `[B, blocks, K, D]`, `[B, blocks K, D]`, by stage.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// `[B, T, D]`.
    pub(super) y: Flow,
    /// K.
    pub(super) steps: usize,
    pub(super) stage: u8,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Const(Rc<Constant<'a>>),
    /// A vector of int64, or a scalar, that depends on nothing but the shape of the input.
    Ints(Vec<Length>),
    Flow(Flow),
    Extended(Rc<Extended>),
    /// A tensor with its past, its last two axes exchanged.
    Turned(Rc<Extended>),
    /// What a convolution in blocks gives, on its way to `[B, T, D]`.
    Blocks(Rc<Blocks>),
    /// A constant `[n, dims..]` for each row of the batch.
    Spread(Rc<Constant<'a>>),
    /// int64 `[B]`, or `[B, offsets, dims..]`: each row's length plus an offset.
    Ends {
        offsets: Vec<i64>,
        dims: Option<Vec<usize>>,
    },
}

impl Value<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Const(_) => "a constant",
            Self::Ints(_) => "a shape",
            Self::Flow(_) => "a tensor",
            Self::Extended(_) => "a tensor with its past",
            Self::Turned(_) => "a tensor with its past, turned",
            Self::Blocks(_) => "blocks of steps",
            Self::Spread(_) => "a filler",
            Self::Ends { .. } => "indices of ends",
        }
    }
}
