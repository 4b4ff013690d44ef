//! Where each parameter lies in the flat buffers.

use minrnn_kernels::Elem;
use minrnn_model::graph::Graph;
use minrnn_model::params::Role;

use super::place::{Place, Space};

/// Parameters begin at multiples of this many elements, so that every kernel may read 16 bytes at once.
const ALIGN: usize = 64;

/// All parameters behind each other: those with weight decay, the other trained ones, then buffers. Gaps hold zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// First element of each parameter, in the graph's order.
    pub offsets: Vec<usize>,
    /// Elements of each parameter.
    pub lens: Vec<usize>,
    /// Shape of each parameter.
    pub shapes: Vec<Vec<usize>>,
    /// Parameters that are trained, in the order in which they lie.
    pub trained: Vec<usize>,
    /// End of those with weight decay.
    pub decayed_len: usize,
    /// End of those that are trained.
    pub trained_len: usize,
    /// End of all.
    pub total: usize,
}

impl Layout {
    /// For the parameters of `graph`.
    pub fn new(graph: &Graph) -> Self {
        let params = graph.params();
        let mut layout = Self {
            offsets: vec![0; params.len()],
            lens: params.iter().map(|p| p.len()).collect(),
            shapes: params.iter().map(|p| p.shape.clone()).collect(),
            trained: vec![],
            decayed_len: 0,
            trained_len: 0,
            total: 0,
        };
        for group in 0..3 {
            for (i, spec) in params.iter().enumerate() {
                let of = match spec.role {
                    Role::Weight { decay: true, .. } => 0,
                    Role::Weight { decay: false, .. } => 1,
                    Role::Buffer { .. } => 2,
                };
                if of == group {
                    layout.offsets[i] = layout.total;
                    layout.total += spec.len().next_multiple_of(ALIGN);
                    if group < 2 {
                        layout.trained.push(i);
                    }
                }
            }
            match group {
                0 => layout.decayed_len = layout.total,
                1 => layout.trained_len = layout.total,
                _ => {}
            }
        }
        layout
    }

    /// Where a parameter lies in a flat space.
    pub(super) fn leaf(&self, space: Space, i: usize) -> Place {
        Place {
            space,
            offset: self.offsets[i],
            len: self.lens[i],
            elem: Elem::F32,
        }
    }

    /// Begins of the trained parameters, then the end of the last: what a kernel needs to say whose gradient is not finite.
    pub fn segments(&self) -> Vec<u32> {
        let begins = self.trained.iter().map(|i| self.offsets[*i] as u32);
        begins.chain([self.trained_len as u32]).collect()
    }
}
