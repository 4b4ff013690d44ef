//! The diagonal scan as an operation of candle's, which has three inputs and one output: x, `[log_dt | A_log | A_im | C | D]` and h0 give
//! `[y | last states | marks]`.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use super::{Inputs, OP, Size, cpu};
use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{hold, slice, with_float};

pub(super) struct Operation {
    pub(super) size: Size,
    pub(super) lens: Option<Vec<u32>>,
}

/// Elements of y, the last states and the marks.
fn outputs(size: Size) -> [usize; 3] {
    [
        size.rows() * size.channels,
        size.batch * size.state(),
        size.marks(),
    ]
}

/// The five parameters in one row.
fn params<T>(all: &[T], size: Size) -> [&[T]; 5] {
    let mut rest = all;
    size.parameters().map(|len| {
        let (part, behind) = rest.split_at(len);
        rest = behind;
        part
    })
}

/// The inputs as slices.
fn inputs<'a, T>(x: &'a [T], all: &'a [T], h0: &'a [T], size: Size) -> cpu::Inputs<'a, T> {
    let [log_step, log_rates, frequencies, readout, skip] = params(all, size);
    cpu::Inputs {
        x,
        log_step,
        log_rates,
        frequencies,
        readout,
        skip,
        h0: Some(h0),
    }
}

impl Operation {
    pub(super) fn run(self, i: &Inputs<'_>) -> Result<(Tensor, Tensor)> {
        let size = self.size;
        let params = [i.log_step, i.log_rates, i.frequencies, i.readout, i.skip];
        let params = Tensor::cat(&params, 0)?;
        let x = i.x.contiguous()?;
        let all = x.apply_op3(&params.contiguous()?, &i.h0.contiguous()?, self)?;
        let [y, last, _] = outputs(size);
        let first = all.narrow(0, 0, y)?;
        let second = all.narrow(0, y, last)?;
        Ok((
            first.reshape((size.batch, size.time, size.channels))?,
            second.reshape((size.batch, size.state()))?,
        ))
    }

    fn forward<T: Float>(&self, x: &[T], params: &[T], h0: &[T]) -> Vec<T> {
        let size = self.size;
        let [len, last_len, marks_len] = outputs(size);
        let mut all = vec![T::ZERO; len + last_len + marks_len];
        let (y, rest) = all.split_at_mut(len);
        let (last, marks) = rest.split_at_mut(last_len);
        let out = cpu::Out {
            y,
            last: Some(last),
            marks: Some(marks),
        };
        let inputs = inputs(x, params, h0, size);
        cpu::forward(Level::best(), &inputs, self.lens.as_deref(), size, out);
        all
    }

    /// The gradients of the three inputs.
    fn gradients<T: Float>(&self, tensors: [&Tensor; 5]) -> Result<[Tensor; 3]> {
        let size = self.size;
        let held = tensors.map(|x| hold(OP, x));
        let [y, last, _] = outputs(size);
        let (all, dall) = (held[3].slice::<T>()?, held[4].slice::<T>()?);
        let inputs = inputs(held[0].slice()?, held[1].slice()?, held[2].slice()?, size);
        let zeros = |len: usize| vec![T::ZERO; len];
        let (mut dx, mut dh0) = (zeros(y), zeros(last));
        let mut grads = size.parameters().map(zeros);
        let [log_step, log_rates, frequencies, readout, skip] = grads.each_mut();
        let to = cpu::Grads {
            x: &mut dx,
            log_step,
            log_rates,
            frequencies,
            readout,
            skip,
            h0: Some(&mut dh0),
        };
        let end = Some((&dall[y..][..last], self.lens.as_deref()));
        let marks = &all[y + last..];
        cpu::backward(Level::best(), &inputs, marks, &dall[..y], end, size, to);
        let [x, params, h0, ..] = tensors;
        let like = |values: Vec<T>, of: &Tensor| Tensor::from_vec(values, of.shape(), of.device());
        Ok([like(dx, x)?, like(grads.concat(), params)?, like(dh0, h0)?])
    }
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        params: &CpuStorage,
        lp: &Layout,
        h0: &CpuStorage,
        lh0: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(OP, candle_core::backend::BackendStorage::dtype(x), T => {
            let (x, params, h0) =
                (slice::<T>(OP, x, lx)?, slice(OP, params, lp)?, slice(OP, h0, lh0)?);
            let all = self.forward(x, params, h0);
            let len = all.len();
            Ok((T::to_cpu_storage_owned(all), len.into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        lx: &Layout,
        params: &candle_core::CudaStorage,
        lp: &Layout,
        h0: &candle_core::CudaStorage,
        lh0: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (size, len): (_, Shape) = (self.size, outputs(self.size).iter().sum::<usize>().into());
        let [all] = crate::bridge::forward(
            OP,
            [(x, lx), (params, lp), (h0, lh0)],
            [(len.clone(), candle_core::DType::F32)],
            |_| super::cuda::forward_scratch_len(size),
            |gpu, inputs, [all], scratch| self.forward_cuda(gpu, inputs, all, scratch),
        )?;
        Ok((all, len))
    }

    fn bwd(
        &self,
        x: &Tensor,
        params: &Tensor,
        h0: &Tensor,
        all: &Tensor,
        dall: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dall = dall.contiguous()?;
        let five = [x, params, h0, all, &dall];
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dparams, dh0] = self.gradients_cuda(five)?;
            return Ok((Some(dx), Some(dparams), Some(dh0)));
        }
        let [dx, dparams, dh0] = with_float!(OP, x.dtype(), T => self.gradients::<T>(five))?;
        Ok((Some(dx), Some(dparams), Some(dh0)))
    }
}

#[cfg(feature = "cuda")]
mod on_gpu {
    use candle_core::{DType, Result, Tensor};

    use super::super::cuda::{self, Grads, Inputs, Out, Saved};
    use super::{OP, Operation, outputs};
    use crate::cuda::{Gpu, Memory, View};
    use crate::{Elem, cuda as gpu_cuda};

    impl Operation {
        fn lens_on(&self, gpu: &Gpu) -> gpu_cuda::Result<Option<Memory>> {
            let lens = self.lens.as_deref();
            lens.map(|lens| Memory::from_slice(gpu, lens)).transpose()
        }

        /// The five parameters in one row.
        fn params<'a>(&self, all: View<'a>) -> gpu_cuda::Result<[View<'a>; 5]> {
            let mut from = 0;
            let [a, b, c, d, e] = self.size.parameters().map(|len| {
                from += len;
                all.slice(from - len, len)
            });
            Ok([a?, b?, c?, d?, e?])
        }

        fn inputs<'a>(&self, [x, params, h0]: [View<'a>; 3]) -> gpu_cuda::Result<Inputs<'a>> {
            let [log_step, log_rates, frequencies, readout, skip] = self.params(params)?;
            Ok(Inputs {
                x,
                log_step,
                log_rates,
                frequencies,
                readout,
                skip,
                h0: Some(h0),
                size: self.size,
            })
        }

        pub(super) fn forward_cuda(
            &self,
            gpu: &Gpu,
            inputs: [View<'_>; 3],
            all: View<'_>,
            scratch: View<'_>,
        ) -> gpu_cuda::Result<()> {
            let [y, last, marks] = outputs(self.size);
            let lens = self.lens_on(gpu)?;
            let lens = lens.as_ref().map(|lens| lens.all(Elem::U32)).transpose()?;
            let out = Out {
                y: all.slice(0, y)?,
                last: Some((all.slice(y, last)?, lens)),
                marks: Some(all.slice(y + last, marks)?),
            };
            cuda::forward(gpu, &self.inputs(inputs)?, &out, scratch)
        }

        pub(super) fn gradients_cuda(&self, tensors: [&Tensor; 5]) -> Result<[Tensor; 3]> {
            let [x, params, h0, _, _] = tensors;
            let to = [x, params, h0].map(|x| (x.shape(), DType::F32));
            let size = self.size;
            crate::bridge::backward(
                OP,
                tensors,
                to,
                |_| cuda::scratch_len(size),
                |gpu, [x, params, h0, all, dall], to, scratch| {
                    self.backward_on(gpu, [x, params, h0], [all, dall], to, scratch)
                },
            )
        }

        fn backward_on(
            &self,
            gpu: &Gpu,
            inputs: [View<'_>; 3],
            [all, dall]: [View<'_>; 2],
            [dx, dparams, dh0]: [View<'_>; 3],
            scratch: View<'_>,
        ) -> gpu_cuda::Result<()> {
            let [y, last, marks] = outputs(self.size);
            let lens = self.lens_on(gpu)?;
            let lens = lens.as_ref().map(|lens| lens.all(Elem::U32)).transpose()?;
            let saved = Saved {
                marks: Some(all.slice(y + last, marks)?),
                dy: dall.slice(0, y)?,
                last: Some((dall.slice(y, last)?, lens)),
            };
            let [log_step, log_rates, frequencies, readout, skip] = self.params(dparams)?;
            let to = Grads {
                x: dx,
                log_step,
                log_rates,
                frequencies,
                readout,
                skip,
                h0: Some(dh0),
            };
            cuda::backward(gpu, &self.inputs(inputs)?, &saved, &to, scratch)
        }
    }
}
