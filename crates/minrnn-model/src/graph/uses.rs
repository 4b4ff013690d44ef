//! What parameters are read as: only matrices and tables may be stored in a narrower type than f32.

use super::{Graph, Node, Op, Param};

/// What all operations that read a parameter read it as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// No operation reads it (it may begin a state).
    Nothing,
    /// The matrix `[K, N]` of products, a column an output.
    Columns,
    /// A table of embeddings `[V, M]`, or a transposed matrix `[N, K]`: a row an output.
    Rows,
    /// A value of its own, or several of these.
    Value,
}

impl Use {
    /// Whether it may be stored in a narrower type.
    pub fn is_narrow(self) -> bool {
        matches!(self, Self::Columns | Self::Rows)
    }

    fn and(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            same if same == other => same,
            _ => Self::Value,
        }
    }
}

impl Graph {
    /// The use of every parameter, in the graph's order.
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = vec![Use::Nothing; self.params().len()];
        for node in self.nodes() {
            if let Op::Embed { table } = node.op {
                uses[table.index()] = uses[table.index()].and(Use::Rows);
            }
            for (i, value) in node.inputs.iter().enumerate() {
                if let Some(param) = self.as_param(*value) {
                    uses[param.index()] = uses[param.index()].and(self.use_of(node, i, param));
                }
            }
        }
        uses
    }

    fn use_of(&self, node: &Node, input: usize, param: Param) -> Use {
        match node.op {
            Op::MatMul { transposed } if input == 1 && self.weight(node) == Some(param) => {
                if transposed {
                    Use::Rows
                } else {
                    Use::Columns
                }
            }
            _ => Use::Value,
        }
    }
}
