//! `h[t] = a[t] * h[t-1] + b[t]` of complex numbers, elementwise over channels, which are `[re | im]`: the recurrence of diagonal state
//! spaces.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel. On a GPU it is made of candle's operations, in passes over ever longer steps.

mod cpu;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use crate::math::Float;
use crate::recurrence::{self, Saved, Size};
use crate::tensors::{Input, hold, on_gpu, slice, with_float};

const OP: &str = "complex_scan";

/// The complex recurrence `h[t] = a[t] * h[t-1] + b[t]` with `h[-1] = h0`.
///
/// `a`, `b`: `[B,T,D]`; `h0`: `[B,D]`; the result is h, `[B,T,D]`; D is even, the first half real, the second imaginary parts. f32 or f64,
/// all alike; on a GPU f32. On the CPU every product and sum is rounded, so a sequence cut into chunks gives the same bits.
/// Gradients for `a`, `b` and `h0`.
///
/// # Errors
/// [`KernelError`](crate::KernelError) on other shapes, an empty dimension, an odd D, another element type or device.
pub fn complex_scan(a: &Tensor, b: &Tensor, h0: &Tensor) -> Result<Tensor> {
    let op = ComplexScan::new(a, b, h0)?;
    if on_gpu(a) {
        return by_doubling(a, b, h0);
    }
    a.contiguous()?
        .apply_op3(&b.contiguous()?, &h0.contiguous()?, op)
}

/// `x y`, element by element, of `[.., D]`.
fn product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let last = x.rank() - 1;
    let n = x.dim(last)? / 2;
    let parts =
        |x: &Tensor| Ok::<_, candle_core::Error>([x.narrow(last, 0, n)?, x.narrow(last, n, n)?]);
    let ([xr, xi], [yr, yi]) = (parts(x)?, parts(y)?);
    let re = ((&xr * &yr)? - (&xi * &yi)?)?;
    let im = ((&xr * &yi)? + (&xi * &yr)?)?;
    Tensor::cat(&[re, im], last)
}

/// The same in log2(T) passes: after the pass with distance d each step does what the last 2d steps do. h0 is the step before the first.
fn by_doubling(a: &Tensor, b: &Tensor, h0: &Tensor) -> Result<Tensor> {
    let time = b.dim(1)?;
    let first = h0.unsqueeze(1)?;
    let mut a = Tensor::cat(&[&first.zeros_like()?, a], 1)?;
    let mut b = Tensor::cat(&[&first, b], 1)?;
    let mut distance = 1;
    while distance <= time {
        let late = time + 1 - distance;
        let early = |x: &Tensor| x.narrow(1, 0, late);
        let step = a.narrow(1, distance, late)?;
        let moved = (product(&step, &early(&b)?)? + b.narrow(1, distance, late)?)?;
        let decay = product(&step, &early(&a)?)?;
        b = Tensor::cat(&[&b.narrow(1, 0, distance)?, &moved], 1)?;
        a = Tensor::cat(&[&a.narrow(1, 0, distance)?, &decay], 1)?;
        distance *= 2;
    }
    b.narrow(1, 1, time)?.contiguous()
}

struct ComplexScan {
    size: Size,
}

impl ComplexScan {
    /// The operation for these inputs, if they fit.
    fn new(a: &Tensor, b: &Tensor, h0: &Tensor) -> Result<Self> {
        let b_in = Input::float(OP, "b", b)?;
        let a_in = Input::float(OP, "a", a)?.like(b_in)?;
        let (batch, t, d) = a_in.dims3("[B,T,D]")?;
        if !d.is_multiple_of(2) {
            return Err(a_in.bad_shape("[B,T,D], D even: [re | im]".into()));
        }
        b_in.shaped(&[batch, t, d], "[B,T,D] of a")?;
        let h0_in = Input::float(OP, "h0", h0)?.like(b_in)?;
        h0_in.shaped(&[batch, d], "[B,D]")?;
        let size = Size { b: batch, t, d };
        Ok(Self { size })
    }

    fn gradients<T: Float>(&self, [a, b, h0, h, dh]: [&Tensor; 5]) -> Result<[Tensor; 3]> {
        let held = [a, h0, h, dh].map(|x| hold(OP, x));
        let saved = Saved {
            h0: held[1].slice()?,
            h: held[2].slice()?,
            dh: held[3].slice()?,
        };
        let [da, db, dh0] = cpu::backward::<T>(held[0].slice()?, &saved, self.size);
        Ok([
            Tensor::from_vec(da, a.shape(), a.device())?,
            Tensor::from_vec(db, b.shape(), b.device())?,
            Tensor::from_vec(dh0, h0.shape(), h0.device())?,
        ])
    }
}

impl CustomOp3 for ComplexScan {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(a), T => {
            let (a, b, h0) = (slice::<T>(OP, a, la)?, slice(OP, b, lb)?, slice(OP, h0, lh0)?);
            let h = cpu::forward(a, b, h0, self.size);
            Ok((T::to_cpu_storage_owned(h), self.size.shape()))
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        h0: &Tensor,
        h: &Tensor,
        dh: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let x = recurrence::contiguous([a, b, h0, h, dh])?;
        let [da, db, dh0] = with_float!(OP, a.dtype(), T => self.gradients::<T>(x.each_ref()))?;
        Ok((Some(da), Some(db), Some(dh0)))
    }
}
