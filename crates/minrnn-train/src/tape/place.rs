//! Places in the memory of a plan.

use minrnn_kernels::Elem;

/// Where a [`Place`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// All parameters, f32, as [`Layout`](super::Layout) lays them out.
    Params,
    /// The parameters again, rounded to the compute type.
    Shadow,
    /// Gradients of all parameters, f32, laid out alike.
    Grads,
    /// What the optimizer remembers of all parameters, f32, laid out alike: a slot of its rule.
    Slot(usize),
    /// Scratch of the recurrences: zero once, kept valid by the kernels.
    Scan,
    /// Seed, step, numbers of the optimizer: written by the host before each step, `u32 [16]`.
    Control,
    /// Words 4 to 15 of the control block of this update, of the one before it, and so on: of plans in float16, `u32 [.., 12]`.
    Numbers,
    /// Norm of the gradient and clip factor, f32 `[2]`.
    Report,
    /// The factor on the loss and what moves it, f32 `[8]`, of plans in float16 ([`minrnn_kernels::loss_scale`]).
    Scale,
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
    /// States that a run begins with, f32: all of a state's rows, `[B, ..]`, then those of the next state.
    Carried,
    /// States at the end of a run, laid out alike.
    Next,
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
    /// The buffer that it lies in, if it is one.
    pub(super) fn buffer(self) -> Option<usize> {
        match self.space {
            Space::Buffer(i) => Some(i),
            _ => None,
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
pub(super) struct Mask {
    /// Probability of a zero, in (0, 1).
    pub(super) p: f64,
    /// Which dropout of the model.
    pub(super) site: u32,
}
