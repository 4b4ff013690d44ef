//! The program: what is done to each row, in order.

use std::sync::Arc;

use super::Program;
use super::value::{Elem, View};
use crate::info::Law;
use crate::kernels::{Binary, Matrix, MatrixU8, Reduction, Unary};

/// A register: a buffer with `width` values for each row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Register {
    pub(super) elem: Elem,
    pub(super) width: usize,
}

/// An operand of a binary operation.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// As wide as the result.
    Row(View),
    /// One value a row.
    Cell(View),
    /// The same row for all.
    Fixed(Arc<[f32]>),
    /// The same value for all.
    Scalar(f32),
}

/// A part of a copied row.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// Values of a register, written one after the other.
    View(View),
    Fixed(Arc<[f32]>),
}

/// One instruction. `out` is a register of its own, written whole.
#[derive(Debug, Clone)]
pub(super) enum Instr {
    Unary {
        op: Unary,
        x: View,
        out: usize,
    },
    Binary {
        op: Binary,
        a: Operand,
        b: Operand,
        out: usize,
    },
    /// `x` times a constant matrix, plus a bias.
    Product {
        x: View,
        matrix: Arc<Matrix>,
        bias: Option<Arc<[f32]>>,
        out: usize,
    },
    /// u8 times u8 around their zero points, i32.
    ProductInt {
        x: View,
        zero: u8,
        matrix: Arc<MatrixU8>,
        out: usize,
    },
    /// Each value to the nearest half, ties to even.
    RoundToHalf {
        x: View,
        out: usize,
    },
    /// Over each `group` values of the view, to one value.
    Reduce {
        op: Reduction,
        x: View,
        group: usize,
        out: usize,
    },
    /// Rows of a table by id.
    Gather {
        table: Table,
        ids: View,
        out: usize,
    },
    /// Parts of rows, one after the other.
    Copy {
        parts: Vec<Part>,
        out: usize,
    },
    /// Values of the row by place, for broadcasts among trailing dimensions.
    Pick {
        x: View,
        places: Arc<[u32]>,
        out: usize,
    },
    Cast {
        x: View,
        from: Elem,
        to: Elem,
        out: usize,
    },
    /// The recurrence of a law over the steps of each row of the batch.
    Recur {
        law: Law,
        a: Option<View>,
        b: View,
        carry: usize,
        out: usize,
    },
    /// What a selective state space does with its states: decay, outer product, recurrence, readout; in the place of a row operation each.
    Scan {
        scan: Arc<Selective>,
        /// `y [D]`
        out: usize,
    },
    /// The sum of a window's steps times taps, channel by channel. Of a sequence x is the present step, and the carry has those before it; of
    /// one step x is the window.
    Conv {
        x: View,
        /// `[n, D]`, the oldest step's first.
        taps: Arc<[f32]>,
        carry: Option<usize>,
        out: usize,
    },
    /// Attention of each row over a window: `kernels::Attend`.
    Attend {
        q: View,
        kv: View,
        n: View,
        past: Past,
        heads: usize,
        /// A register for scores.
        scores: usize,
        out: usize,
    },
    /// A program once a step of each row of the batch: its inputs are states, which go from step to step, and the values of `x`; what it
    /// gives are the states after the step, and further values.
    Fold {
        fold: Arc<Folded>,
        x: Vec<View>,
        /// Registers of all that it gives.
        out: Vec<usize>,
    },
    /// The values of `by` steps before; before the first step, those of the carry.
    Delay {
        x: View,
        by: usize,
        carry: usize,
        out: usize,
    },
    /// Moves a carry of the last steps of `x` on. After all that read that carry.
    Remember {
        x: View,
        carry: usize,
    },
    /// Keeps the row of each end plus an offset, for the phase `End`.
    Capture {
        x: View,
        capture: usize,
    },
}

/// A program that runs once a step.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) program: Program,
    /// Its states, in order.
    pub(super) carries: Vec<usize>,
}

/// The arguments of a selective scan: see `kernels::Scan`.
#[derive(Debug, Clone)]
pub(super) struct Selective {
    /// `[D]` where there are rates, else a decay a head.
    pub(super) steps: View,
    /// `[D N]`
    pub(super) rates: Option<Arc<[f32]>>,
    /// One value a row.
    pub(super) keep: Option<View>,
    pub(super) x: View,
    pub(super) b: View,
    pub(super) c: View,
    /// N.
    pub(super) states: usize,
    pub(super) held: Held,
}

/// Where its states are.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// They go from step to step; `capture`: kept at each row's end.
    Carry {
        carry: usize,
        capture: Option<usize>,
    },
    /// Of one step: read from a view, written to a register.
    Row { before: View, after: usize },
}

/// Where the rows before those of a call are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Past {
    /// They go from chunk to chunk.
    Carry(usize),
    /// Of one step: all of them in its row.
    View(View),
}

/// A table of rows.
#[derive(Debug, Clone)]
pub(super) enum Table {
    F32(Arc<[f32]>),
    U8(Arc<[u8]>),
}

/// What goes from time chunk to time chunk, for each row of the batch.
#[derive(Debug, Clone)]
pub(super) struct Carry {
    /// Steps remembered; 1 for a recurrence.
    pub(super) steps: usize,
    pub(super) start: Start,
}

/// What a carry holds before the first step.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// A view of a register of the phase `Begin`, `steps * width` values.
    View(View),
    Fixed(Arc<[f32]>),
}

/// Values taken out of the steps, into a register of the phase `End`.
#[derive(Debug, Clone)]
pub(super) struct Capture {
    /// Steps relative to the end: -1 is the last.
    pub(super) offsets: Vec<i64>,
    /// Whether the end is each row's own length; else T.
    pub(super) ragged: bool,
    /// The carry with what stands before the first step.
    pub(super) past: Option<usize>,
    /// Values a step.
    pub(super) width: usize,
    /// Register of the batch.
    pub(super) out: usize,
}

impl Instr {
    /// Calls `f` on each view read and on the register written, to rename them.
    pub(super) fn registers(&mut self, f: &mut impl FnMut(&mut usize)) {
        match self {
            Self::Unary { x, out, .. }
            | Self::Product { x, out, .. }
            | Self::ProductInt { x, out, .. }
            | Self::RoundToHalf { x, out }
            | Self::Reduce { x, out, .. }
            | Self::Gather { ids: x, out, .. }
            | Self::Pick { x, out, .. }
            | Self::Cast { x, out, .. }
            | Self::Conv { x, out, .. }
            | Self::Delay { x, out, .. } => {
                f(&mut x.reg);
                f(out);
            }
            Self::Binary { a, b, out, .. } => {
                for operand in [a, b] {
                    if let Operand::Row(v) | Operand::Cell(v) = operand {
                        f(&mut v.reg);
                    }
                }
                f(out);
            }
            Self::Copy { parts, out } => {
                for part in parts {
                    if let Part::View(v) = part {
                        f(&mut v.reg);
                    }
                }
                f(out);
            }
            Self::Recur { a, b, out, .. } => {
                a.iter_mut().for_each(|a| f(&mut a.reg));
                f(&mut b.reg);
                f(out);
            }
            Self::Attend {
                q,
                kv,
                n,
                past,
                scores,
                out,
                ..
            } => {
                [q, kv, n].into_iter().for_each(|v| f(&mut v.reg));
                if let Past::View(past) = past {
                    f(&mut past.reg);
                }
                f(scores);
                f(out);
            }
            Self::Fold { x, out, .. } => {
                x.iter_mut().for_each(|x| f(&mut x.reg));
                out.iter_mut().for_each(f);
            }
            Self::Scan { scan, out } => {
                let scan = Arc::make_mut(scan);
                for view in [&mut scan.steps, &mut scan.x, &mut scan.b, &mut scan.c] {
                    f(&mut view.reg);
                }
                scan.keep.iter_mut().for_each(|k| f(&mut k.reg));
                if let Held::Row { before, after } = &mut scan.held {
                    f(&mut before.reg);
                    f(after);
                }
                f(out);
            }
            Self::Remember { x, .. } | Self::Capture { x, .. } => f(&mut x.reg),
        }
    }
}
