//! A number for each axis of a tensor, in place: no place is an allocation.

use std::ops::{Deref, DerefMut};

/// Axes of a tensor: no shape of a checked graph has more.
const MAX_RANK: usize = 8;

/// Those beyond the rank are 0, so that equal ones are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PerAxis {
    rank: usize,
    all: [i64; MAX_RANK],
}

impl PerAxis {
    /// 0 along every axis. At most [`MAX_RANK`] of them.
    pub(super) fn none(rank: usize) -> Self {
        assert!(rank <= MAX_RANK, "a tensor of {rank} axes");
        Self {
            rank,
            all: [0; MAX_RANK],
        }
    }
}

impl Deref for PerAxis {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.all[..self.rank]
    }
}

impl DerefMut for PerAxis {
    fn deref_mut(&mut self) -> &mut [i64] {
        &mut self.all[..self.rank]
    }
}

impl From<&[i64]> for PerAxis {
    fn from(numbers: &[i64]) -> Self {
        let mut all = Self::none(numbers.len());
        all.copy_from_slice(numbers);
        all
    }
}
