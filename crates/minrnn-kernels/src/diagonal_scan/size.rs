//! Sizes of a diagonal scan.

/// Steps from one state that is kept to the next: those between them are computed again in the backward pass.
pub const EVERY: usize = 64;

/// Sizes of a diagonal scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// B, sequences.
    pub batch: usize,
    /// T, steps.
    pub time: usize,
    /// D, channels.
    pub channels: usize,
    /// N / 2, complex states of a channel.
    pub pairs: usize,
}

impl Size {
    /// Complex states of a sequence, D N / 2.
    pub fn wide(self) -> usize {
        self.channels * self.pairs
    }
    /// Numbers in the state of a sequence, D N.
    pub fn state(self) -> usize {
        2 * self.wide()
    }
    /// Rows, B T.
    pub fn rows(self) -> usize {
        self.batch * self.time
    }
    /// States of a sequence that are kept for the backward pass: those before steps [`EVERY`], 2 [`EVERY`], ..
    pub fn kept(self) -> usize {
        (self.time - 1) / EVERY
    }
    /// Elements of all states that are kept, `[B, kept, D N]`.
    pub fn marks(self) -> usize {
        self.batch * self.kept() * self.state()
    }
    /// Elements of the parameters: `log_dt`, `A_log`, `A_im`, `C`, `D`.
    pub fn parameters(self) -> [usize; 5] {
        let (d, wide) = (self.channels, self.wide());
        [d, wide, wide, 2 * wide, d]
    }
}
