//! How much memory and work a graph may ask for: for a short call by the size of its file, for longer ones in proportion to the
//! short one. A model computes step by step and row by row, so what grows with the square of either is none.

use super::fact::Fact;

/// Bytes more for each byte of the file: weights are made wider, transposed, cut.
const BYTES_PER_BYTE: u64 = 8;
/// Operations for each byte of memory that a graph may ask for.
const WORK_PER_MEMORY: u64 = 2;
/// Operations that a short call may ask for in any case.
const LEAST_WORK: u64 = 1 << 29;
/// Operations more for each byte of the file: a weight is used once for each row of a block.
const WORK_PER_BYTE: u64 = 64;
/// Rows times steps from which on the limits grow in proportion.
const FEW: u64 = 8;
/// How much more than in proportion a longer call may use.
const GROWTH: u64 = 4;
/// Of so few bytes or operations no call makes much.
const SMALL: u64 = 1 << 16;

/// What a graph asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// Bytes of the tensors that exist now, if each is given back after its last reader.
    pub(super) now: u64,
    /// Most that existed at once.
    pub(crate) bytes: u64,
    /// Multiplications and what costs as much.
    pub(crate) work: u64,
}

/// What a short call uses, and how many rows times steps that were.
pub(crate) type Short = (Use, u64);

/// What a call may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    bytes: u64,
    work: u64,
}

impl Limits {
    /// Of a file of `size` bytes; `memory`: what the tensors of a short call may take beyond what comes with the size. `cells`:
    /// rows times steps.
    pub(super) fn of_file(size: u64, memory: u64, cells: u64) -> Self {
        let times = cells.div_ceil(FEW).max(1);
        let work = memory.saturating_mul(WORK_PER_MEMORY).max(LEAST_WORK);
        let limit = |base: u64, each: u64| {
            let one = base.saturating_add(each.saturating_mul(size));
            one.saturating_mul(times)
        };
        Self {
            bytes: limit(memory, BYTES_PER_BYTE),
            work: limit(work, WORK_PER_BYTE),
        }
    }

    /// By what a short call used.
    pub(super) fn of_short((short, few): Short, cells: u64) -> Self {
        let times = cells.div_ceil(few).saturating_mul(GROWTH);
        Self {
            bytes: short.bytes.max(SMALL).saturating_mul(times),
            work: short.work.max(SMALL).saturating_mul(times),
        }
    }
}

/// Rows times steps.
pub(super) fn cells(batch: usize, time: usize) -> u64 {
    (batch as u64).saturating_mul(time as u64).max(1)
}

impl Use {
    /// Adds what a node asks for.
    ///
    /// # Errors
    /// A tensor that is none, or more than the limits.
    pub(super) fn count(
        &mut self,
        found: &[Fact],
        work: u64,
        limits: Limits,
    ) -> Result<(), String> {
        if let Some(fact) = found.iter().find(|f| f.is_wide()) {
            return Err(format!("makes a tensor of shape {:?}", fact.dims));
        }
        let bytes = found.iter().fold(0u64, |n, f| n.saturating_add(f.bytes()));
        self.now = self.now.saturating_add(bytes);
        self.bytes = self.bytes.max(self.now);
        self.work = self.work.saturating_add(work);
        if self.bytes > limits.bytes {
            let shapes: Vec<_> = found.iter().map(|f| &f.dims).collect();
            return Err(format!(
                "with its shape {shapes:?} the graph asks for more than {} bytes at once",
                limits.bytes
            ));
        }
        if self.work > limits.work {
            return Err(format!(
                "with it the graph asks for more than {} operations",
                limits.work
            ));
        }
        Ok(())
    }
}
