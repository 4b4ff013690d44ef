//! Sizes of a selective scan.

/// Channels of at most so many states keep them more often: they take no more memory than two values of `[B,T,D]`.
const FEW: usize = 16;

/// Channels of a block on the CPU, at least (whole heads, of one group).
const BLOCK: usize = 32;

/// Sizes of a selective scan. Channels come in heads of `d / heads`, heads in groups of `heads / groups`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B, sequences.
    pub batch: usize,
    /// T, steps.
    pub time: usize,
    /// D, channels.
    pub channels: usize,
    /// N, states of a channel.
    pub states: usize,
    /// H, step sizes; divides D.
    pub heads: usize,
    /// G, groups of heads that share b and c; divides H.
    pub groups: usize,
    /// Whether a head has one rate for all of its states; else every state has its own.
    pub shared: bool,
}

impl Size {
    /// P, channels of a head.
    pub fn head_channels(self) -> usize {
        self.channels / self.heads
    }
    /// Channels of a group.
    pub fn group_channels(self) -> usize {
        self.channels / self.groups
    }
    /// States of a sequence, D N.
    pub fn wide(self) -> usize {
        self.channels * self.states
    }
    /// Channels of b and c, G N.
    pub fn read(self) -> usize {
        self.groups * self.states
    }
    /// Rates: H where heads share theirs, else D N.
    pub fn rates(self) -> usize {
        if self.shared { self.heads } else { self.wide() }
    }
    /// Rows, B T.
    pub fn rows(self) -> usize {
        self.batch * self.time
    }
    /// Steps from one state that is kept to the next: those between them are computed again in the backward pass.
    pub fn every(self) -> usize {
        if self.states <= FEW { 16 } else { 64 }
    }
    /// States of a sequence that are kept for the backward pass: those before every [`Size::every`]th step but the first.
    pub fn kept(self) -> usize {
        (self.time - 1) / self.every()
    }
    /// Elements of all states that are kept, `[B, kept, D N]`.
    pub fn marks(self) -> usize {
        self.batch * self.kept() * self.wide()
    }

    /// Channels of a block on the CPU. It follows from the sizes alone, so that sums over blocks do.
    pub(super) fn block(self) -> usize {
        let head = self.head_channels();
        let heads = BLOCK.div_ceil(head).min(self.heads / self.groups);
        heads * head
    }
    /// Blocks of a group.
    pub(super) fn blocks(self) -> usize {
        self.group_channels().div_ceil(self.block())
    }
}
