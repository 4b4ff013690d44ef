//! Dropout from counter-based random numbers: a mask depends on seed, step, site and index alone, so that it is the same on every
//! device, with any number of threads, and after a resume.

pub mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

pub use cpu::mask;

/// Which numbers a mask is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Seed of the training.
    pub seed: u64,
    /// Step of the training.
    pub step: u64,
    /// Which dropout of the model, below 2^24.
    pub site: usize,
}

/// `x / (1 - p)` where kept, 0 with probability p (Srivastava et al., 2014).
///
/// `x`: any shape, f32 or f64, on a GPU f32; the result is shaped like it. Element i is kept where number i of Philox4x32-10 (Salmon
/// et al., 2011) with key `seed` and counter `(i / 4, site, step)` is at least `p 2^32`. Gradient for `x`, by the same mask.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on an empty tensor on a GPU, another element type or device.
pub fn dropout(x: &Tensor, p: f64, draw: Draw) -> Result<Tensor> {
    if p == 0.0 {
        return Ok(x.clone());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::apply(x, p, draw);
    }
    let mask = mask(draw, p, x.elem_count());
    x.mul(&Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)
}
