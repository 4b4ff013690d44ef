//! The version of the contract of `crates/README.md` that a file keeps: the oldest that says all that is in it.

use minrnn_model::graph::{Graph, Law, Op};

/// A version. A reader of an older one refuses the file by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contract {
    /// Recurrences are linear, windows are read by delays.
    One,
    /// There is another law, a fold, a convolution or an attention.
    Two,
}

impl Contract {
    pub(super) const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The version that the files of a graph need.
    pub(super) fn of(graph: &Graph) -> Self {
        let needs = graph.nodes().iter().map(|n| match n.op {
            Op::Recur { law, .. } => match law {
                Law::Linear => Self::One,
                Law::Max | Law::Complex => Self::Two,
            },
            Op::Conv { .. } | Op::Attend { .. } => Self::Two,
            Op::Before { .. } | Op::Fold { .. } => Self::Two,
            Op::Limit { .. }
            | Op::Input
            | Op::Param { .. }
            | Op::Const { .. }
            | Op::Row { .. }
            | Op::Embed { .. }
            | Op::MatMul { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Affine { .. }
            | Op::Reduce { .. }
            | Op::Repeat { .. }
            | Op::Narrow { .. }
            | Op::Concat
            | Op::Delay { .. }
            | Op::Dropout { .. }
            | Op::Last => Self::One,
        });
        needs.max().unwrap_or(Self::One)
    }

    /// Its number in metadata.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
        }
    }
}
