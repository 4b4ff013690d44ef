//! What wrappers of kernels share: checks, and how rows and channels are spread over blocks.

use super::{CudaError, Result, View, need};
use crate::Elem;

/// The types of activations.
pub(crate) const FLOATS: [Elem; 3] = [Elem::F32, Elem::Bf16, Elem::F16];

/// A number as an `int` of a kernel.
pub(crate) fn int(op: &'static str, what: &'static str, value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| CudaError::Value {
        op,
        problem: format!("{what} is {value}, but must be below 2^31"),
    })
}

/// Refuses sizes of 0.
pub(crate) fn at_least_one(op: &'static str, sizes: &[(&'static str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        None => Ok(()),
        Some((what, _)) => Err(CudaError::Value {
            op,
            problem: format!("{what} is 0, but must be at least 1"),
        }),
    }
}

/// The product of sizes, which a kernel counts in 63 bits.
pub(crate) fn product(op: &'static str, sizes: &[usize]) -> Result<usize> {
    let all = sizes
        .iter()
        .try_fold(1usize, |all, size| all.checked_mul(*size));
    all.filter(|all| i64::try_from(*all).is_ok())
        .ok_or_else(|| CudaError::Value {
            op,
            problem: format!("{sizes:?} elements are too many"),
        })
}

/// A number of blocks as the driver takes it.
pub(crate) fn blocks(op: &'static str, blocks: usize) -> Result<u32> {
    int(op, "the number of blocks", blocks).map(i32::cast_unsigned)
}

/// Whether each of the views begins at a multiple of 16 bytes.
pub(crate) fn aligned(views: &[View<'_>]) -> bool {
    views.iter().all(|view| view.address().is_multiple_of(16))
}

/// Refuses scratch that is not f32, not aligned, or too small; `elements` are what is needed.
pub(crate) fn check_scratch(op: &'static str, view: View<'_>, elements: usize) -> Result<()> {
    if view.len() < elements {
        return Err(CudaError::Length {
            op,
            arg: "scratch",
            got: view.len(),
            expected: elements,
        });
    }
    need(op, "scratch", view, &[Elem::F32], view.len())?;
    if aligned(&[view]) {
        return Ok(());
    }
    Err(CudaError::Value {
        op,
        problem: "`scratch` must begin at a multiple of 16 bytes".into(),
    })
}

/// Checks a view that may be absent.
pub(crate) fn need_opt(
    op: &'static str,
    arg: &'static str,
    view: Option<View<'_>>,
    elem: &[Elem],
    len: usize,
) -> Result<()> {
    view.map_or(Ok(()), |view| need(op, arg, view, elem, len))
}

/// Blocks of `x` threads along channels and `y` along rows; `across` blocks cover the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) across: u32,
    pub(crate) x: u32,
    pub(crate) y: u32,
}

impl Columns {
    /// For `groups` groups of channels, one a thread, in blocks of at most `threads` threads (a power of two from 64 on).
    pub(crate) fn new(groups: usize, threads: u32) -> Self {
        let across = groups.div_ceil(threads as usize / 2);
        let x = groups.div_ceil(across) as u32;
        Self {
            across: across as u32,
            x,
            y: threads / x,
        }
    }
    /// The block.
    pub(crate) fn block(self) -> (u32, u32, u32) {
        (self.x, self.y, 1)
    }
    /// Blocks along `items` of rows so that at most `most` blocks (over all channels) have about equally many.
    pub(crate) fn down(self, items: usize, most: usize) -> u32 {
        let y = self.y as usize;
        let slots = (most / self.across as usize).max(1);
        let rounds = items.div_ceil(slots * y).max(1);
        items.div_ceil(rounds * y).max(1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn columns_cover_all_groups_and_items() {
        for groups in [1usize, 2, 48, 65, 96, 128, 129, 384, 1000, 12_345] {
            for threads in [128, 256] {
                let c = Columns::new(groups, threads);
                assert!(c.across as usize * c.x as usize >= groups);
                assert!((c.across as usize - 1) * (c.x as usize) < groups);
                assert!(c.x * c.y <= threads && c.y >= 1);
                for (items, most) in [(1usize, 396usize), (2048, 396), (2048, 1), (100_000, 528)] {
                    let down = c.down(items, most) as usize;
                    assert!(down == 1 || down * c.across as usize <= most);
                    assert!(down <= items);
                }
            }
        }
    }
}
