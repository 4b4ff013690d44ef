//! Limits, and what is used of them.

use std::cell::Cell;

use super::EvalErrorKind as Fault;

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations: a product and a sum count one, as does an element that is written. Some 10^9 take a second or two.
    pub operations: u64,
    /// Bytes of the values that are held at one time.
    pub bytes: u64,
}

impl Default for Limits {
    /// 2 * 10^10 operations, 4 GB.
    fn default() -> Self {
        Self {
            operations: 20_000_000_000,
            bytes: 4_000_000_000,
        }
    }
}

/// What is left of the limits.
pub(super) struct Meter {
    limits: Limits,
    left: Cell<u64>,
    held: Cell<u64>,
    /// Whether f16 and bf16 are held in float64 in the exact reading.
    pub(super) unrounded: bool,
    /// Whether operators that engines fuse are rounded inside, in the stepwise reading.
    pub(super) fused: bool,
    /// Whether results are moved by some last places in the stepwise reading, and a number that no other result has.
    moved: Option<Cell<u64>>,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            unrounded: false,
            fused: false,
            moved: None,
            limits,
            left: Cell::new(limits.operations),
            held: Cell::new(0),
        }
    }

    /// For a run without the rounding of f16 and bf16.
    pub(super) fn unrounded(limits: Limits) -> Self {
        Self {
            unrounded: true,
            ..Self::new(limits)
        }
    }

    /// For a run in which operators are rounded as engines fuse them.
    pub(super) fn fused(limits: Limits) -> Self {
        Self {
            fused: true,
            ..Self::new(limits)
        }
    }

    /// For a run in which results are moved by some last places.
    pub(super) fn moved(limits: Limits, seed: u64) -> Self {
        Self {
            moved: Some(Cell::new(mix(seed))),
            ..Self::new(limits)
        }
    }

    /// Whether results are moved in the stepwise reading.
    pub(super) fn is_moving(&self) -> bool {
        self.moved.is_some()
    }

    /// A number for the result of a node, another one each time; none: results stay as they are.
    pub(super) fn moves(&self) -> Option<u64> {
        let state = self.moved.as_ref()?;
        state.set(mix(state.get()));
        Some(state.get())
    }

    /// Operations done so far.
    pub(super) fn spent(&self) -> u64 {
        self.limits.operations - self.left.get()
    }

    /// Takes a product of operations, or refuses.
    pub(super) fn spend(&self, factors: &[usize]) -> Result<(), Fault> {
        let wanted = product(factors);
        self.could(wanted)?;
        self.left.set(self.left.get() - wanted);
        Ok(())
    }

    /// Refuses what could not be spent.
    pub(super) fn could(&self, wanted: u64) -> Result<(), Fault> {
        let left = self.left.get();
        match wanted > left {
            true => Err(Fault::Budget { wanted, left }),
            false => Ok(()),
        }
    }

    /// Whether so many elements more could be held.
    pub(super) fn room(&self, elements: usize) -> Result<(), Fault> {
        let wanted = self.held.get().saturating_add(product(&[16, elements]));
        let limit = self.limits.bytes;
        match wanted > limit {
            true => Err(Fault::Memory { wanted, limit }),
            false => Ok(()),
        }
    }

    pub(super) fn hold(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_add(bytes));
    }

    pub(super) fn free(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }
}

fn product(factors: &[usize]) -> u64 {
    factors
        .iter()
        .fold(1u64, |n, f| n.saturating_mul(*f as u64))
}

/// A number that looks like chance, and is the same of the same one.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
