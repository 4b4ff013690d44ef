//! Linear layers of which others read parts: each part is a product of its own.

/// A linear layer while the backward pass goes through its parts.
#[derive(Debug, Default)]
pub(super) struct Parted {
    /// Once a part has been there: whether the weight had a gradient before, to which those of all parts are added.
    pub(super) add: Option<bool>,
    /// Parts without a gradient.
    pub(super) missing: Vec<Block>,
}

/// Columns `from..from + width` of a weight `[k, whole]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) from: usize,
    pub(super) width: usize,
    pub(super) whole: usize,
    pub(super) k: usize,
}
