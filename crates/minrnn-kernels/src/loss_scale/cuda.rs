//! The factor on a GPU: no step waits for the host.

use super::WORDS;
use crate::Elem;
use crate::cuda::shape::{at_least_one, int};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "loss scale";

/// Words that the optimizer's numbers of an update take.
pub const NUMBERS: usize = 12;

/// Arguments of [`step`].
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// f32 `[WORDS]`, see [`LossScale::words`](super::LossScale::words).
    pub block: View<'a>,
    /// u32 `[4]`, of [`adamw::cuda::norm`](crate::adamw::cuda::norm), which ran for this step.
    pub latch: View<'a>,
    /// u32 `[16]`: the step is read; words 4 to 15 become those of an earlier update where steps were left out.
    pub control: View<'a>,
    /// u32 `[K,12]`: words 4 to 15 of this update, of the one before it, and so on.
    pub numbers: View<'a>,
}

/// Moves the factor behind the norm of a step's gradients, as [`LossScale::after`](super::LossScale::after) says. Where the step is left
/// out, the latch holds trouble for the kernels behind, and none for the host.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn step(gpu: &Gpu, p: &Step<'_>) -> Result<()> {
    need(OP, "block", p.block, &[Elem::F32], WORDS)?;
    need(OP, "latch", p.latch, &[Elem::U32], 4)?;
    need(OP, "control", p.control, &[Elem::U32], 16)?;
    let rows = p.numbers.len() / NUMBERS;
    at_least_one(OP, &[("rows", rows)])?;
    need(OP, "numbers", p.numbers, &[Elem::U32], rows * NUMBERS)?;
    Call::new(gpu, Module::LossScale, "loss_scale_step")?
        .view(p.block)
        .view(p.latch)
        .view(p.control)
        .view(p.numbers)
        .i32(int(OP, "rows", rows)?)
        .launch((1, 1, 1), (1, 1, 1), 0)
}

/// The block of a device read back: the factor, that of the last step, whether that was left out, and how many were since
/// [`looked`].
///
/// # Errors
/// Those of the GPU.
pub fn read(gpu: &Gpu, block: View<'_>) -> Result<(super::LossScale, u64)> {
    let words = block.read::<f32>(gpu)?;
    if words.len() != WORDS {
        return Err(CudaError::Length {
            op: OP,
            arg: "block",
            got: words.len(),
            expected: WORDS,
        });
    }
    Ok((super::LossScale::of(&words), words[5] as u64))
}

/// The host knows of the steps that were left out so far.
///
/// # Errors
/// Those of the GPU.
pub fn looked(gpu: &Gpu, block: View<'_>) -> Result<()> {
    block.slice(5, 1)?.write(gpu, &[0.0f32])
}
