//! Channels repeated.

use super::{FLOATS, call, code, int, run};
use crate::cuda::{CudaError, Gpu, Result, View, need};

/// Each `block` neighbouring channels of `[rows, width]`, `times` times one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Rows.
    pub rows: usize,
    /// Channels, a multiple of `block`.
    pub width: usize,
    /// Channels that stay together.
    pub block: usize,
    /// How often.
    pub times: usize,
}

impl Repeat {
    /// Elements before and after.
    fn elements(self, op: &'static str) -> Result<[usize; 2]> {
        if self.block == 0 || !self.width.is_multiple_of(self.block) {
            let problem = format!("{} channels in blocks of {}", self.width, self.block);
            return Err(CudaError::Value { op, problem });
        }
        let before = self.rows * self.width;
        Ok([before, before * self.times])
    }
}

/// `y [rows, width times]` from `x [rows, width]`.
///
/// # Errors
/// Views of other lengths, or no floats; a block that does not divide the width.
pub fn repeat_channels(gpu: &Gpu, x: View<'_>, y: View<'_>, repeat: Repeat) -> Result<()> {
    const OP: &str = "repeat_channels";
    let [before, after] = repeat.elements(OP)?;
    need(OP, "x", x, &FLOATS, before)?;
    need(OP, "y", y, &FLOATS, after)?;
    let call = call(gpu, "repeat_fwd")?.view(x).i32(code(x));
    let call = call.view(y).i32(code(y)).i32(int(OP, repeat.width)?);
    let call = call.i32(int(OP, repeat.block)?).i32(int(OP, repeat.times)?);
    run(gpu, call.i64(after as i64), after)
}

/// The gradient of [`repeat_channels`]: sums over the copies in their order; added with `add`.
///
/// # Errors
/// As [`repeat_channels`].
pub fn repeat_channels_grad(
    gpu: &Gpu,
    dy: View<'_>,
    dx: View<'_>,
    add: bool,
    repeat: Repeat,
) -> Result<()> {
    const OP: &str = "repeat_channels_grad";
    let [before, after] = repeat.elements(OP)?;
    need(OP, "dy", dy, &FLOATS, after)?;
    need(OP, "dx", dx, &FLOATS, before)?;
    let call = call(gpu, "repeat_bwd")?.view(dy).i32(code(dy));
    let call = call.view(dx).i32(code(dx)).i32(add.into());
    let call = call.i32(int(OP, repeat.width)?);
    let call = call.i32(int(OP, repeat.block)?).i32(int(OP, repeat.times)?);
    run(gpu, call.i64(before as i64), before)
}
