//! The selective scan as an operation of candle's, which has three inputs and one output: `[x | step | b | c]`, `[A_log | skip]` and h0 give
//! `[y | last states | marks]`.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, WithDType};

use super::cpu::{self, Rows};
use super::{Inputs, OP, Size};
use crate::dispatch::Level;
use crate::math::Float;
use crate::tensors::{hold, slice, with_float};

pub(super) struct Operation {
    pub(super) size: Size,
    pub(super) lens: Option<Vec<u32>>,
}

/// Where x, the step sizes, b and c begin in a row of the packed input, and the elements of a row.
fn columns(size: Size) -> [usize; 5] {
    let b = size.channels + size.heads;
    [0, size.channels, b, b + size.read(), b + 2 * size.read()]
}

/// Elements of y, the last states and the marks.
fn outputs(size: Size) -> [usize; 3] {
    [
        size.rows() * size.channels,
        size.batch * size.wide(),
        size.marks(),
    ]
}

/// The inputs as slices.
fn inputs<'a, T>(packed: &'a [T], params: &'a [T], h0: &'a [T], size: Size) -> cpu::Inputs<'a, T> {
    let [x, step, b, c, stride] = columns(size);
    let rows = |from: usize| Rows {
        data: &packed[from..],
        stride,
    };
    let (log_rates, skip) = params.split_at(size.rates());
    cpu::Inputs {
        step: rows(step),
        x: rows(x),
        b: rows(b),
        c: rows(c),
        log_rates,
        skip,
        h0: Some(h0),
    }
}

impl Operation {
    pub(super) fn run(self, i: &Inputs<'_>) -> Result<(Tensor, Tensor)> {
        let size = self.size;
        let packed = Tensor::cat(&[i.x, i.step, i.b, i.c], D::Minus1)?;
        let params = Tensor::cat(&[i.log_rates, i.skip], 0)?;
        let all =
            packed
                .contiguous()?
                .apply_op3(&params.contiguous()?, &i.h0.contiguous()?, self)?;
        let [y, last, _] = outputs(size);
        let first = all.narrow(0, 0, y)?;
        let second = all.narrow(0, y, last)?;
        Ok((
            first.reshape((size.batch, size.time, size.channels))?,
            second.reshape((size.batch, size.wide()))?,
        ))
    }

    fn forward<T: Float>(&self, packed: &[T], params: &[T], h0: &[T]) -> Vec<T> {
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
        let inputs = inputs(packed, params, h0, size);
        cpu::forward(Level::best(), &inputs, self.lens.as_deref(), size, out);
        all
    }

    /// The gradients of the three inputs.
    fn gradients<T: Float>(&self, x: [&Tensor; 5]) -> Result<[Tensor; 3]> {
        let [packed, params, h0, _, _] = x;
        let size = self.size;
        let held = x.map(|x| hold(OP, x));
        let [y, last, _] = outputs(size);
        let (all, dall) = (held[3].slice::<T>()?, held[4].slice::<T>()?);
        let inputs = inputs(held[0].slice()?, held[1].slice()?, held[2].slice()?, size);
        let grads = cpu::backward(
            Level::best(),
            &inputs,
            &all[y + last..],
            &dall[..y],
            Some((&dall[y..][..last], self.lens.as_deref())),
            size,
        );
        let device = packed.device();
        let part = |values: Vec<T>, width: usize| {
            Tensor::from_vec(values, (size.batch, size.time, width), device)
        };
        let parts = [
            part(grads.x, size.channels)?,
            part(grads.step, size.heads)?,
            part(grads.b, size.read())?,
            part(grads.c, size.read())?,
        ];
        let both = [grads.log_rates, grads.skip].concat();
        Ok([
            Tensor::cat(&parts, D::Minus1)?,
            Tensor::from_vec(both, params.shape(), device)?,
            Tensor::from_vec(grads.h0, h0.shape(), device)?,
        ])
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
        let len: Shape = outputs(self.size).iter().sum::<usize>().into();
        let [all] = crate::bridge::forward(
            OP,
            [(x, lx), (params, lp), (h0, lh0)],
            [(len.clone(), candle_core::DType::F32)],
            |_| 0,
            |gpu, inputs, [all], _| self.forward_cuda(gpu, inputs, all),
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

    use super::super::cuda::{self, Grads, Inputs, Out, Rows, Saved};
    use super::{OP, Operation, columns, outputs};
    use crate::cuda::{Gpu, Memory, View};
    use crate::{Elem, cuda as gpu_cuda};

    /// The four parts of packed rows.
    fn packed_rows(
        view: View<'_>,
        [x, step, b, c, stride]: [usize; 5],
    ) -> gpu_cuda::Result<[Rows<'_>; 4]> {
        let rows = |from: usize| -> gpu_cuda::Result<Rows<'_>> {
            Ok(Rows {
                view: view.slice(from, view.len() - from)?,
                stride,
            })
        };
        Ok([rows(x)?, rows(step)?, rows(b)?, rows(c)?])
    }

    impl Operation {
        fn lens_on(&self, gpu: &Gpu) -> gpu_cuda::Result<Option<Memory>> {
            let lens = self.lens.as_deref();
            lens.map(|lens| Memory::from_slice(gpu, lens)).transpose()
        }

        fn inputs<'a>(&self, [x, params, h0]: [View<'a>; 3]) -> gpu_cuda::Result<Inputs<'a>> {
            let size = self.size;
            let [x, step, b, c] = packed_rows(x, columns(size))?;
            Ok(Inputs {
                step,
                x,
                b,
                c,
                log_rates: params.slice(0, size.rates())?,
                skip: params.slice(size.rates(), size.heads)?,
                h0: Some(h0),
                size,
            })
        }

        pub(super) fn forward_cuda(
            &self,
            gpu: &Gpu,
            inputs: [View<'_>; 3],
            all: View<'_>,
        ) -> gpu_cuda::Result<()> {
            let [y, last, marks] = outputs(self.size);
            let lens = self.lens_on(gpu)?;
            let lens = lens.as_ref().map(|lens| lens.all(Elem::U32)).transpose()?;
            let out = Out {
                y: all.slice(0, y)?,
                last: Some((all.slice(y, last)?, lens)),
                marks: Some(all.slice(y + last, marks)?),
            };
            cuda::forward(gpu, &self.inputs(inputs)?, &out)
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
            let size = self.size;
            let [y, last, marks] = outputs(size);
            let lens = self.lens_on(gpu)?;
            let lens = lens.as_ref().map(|lens| lens.all(Elem::U32)).transpose()?;
            let saved = Saved {
                marks: Some(all.slice(y + last, marks)?),
                dy: dall.slice(0, y)?,
                last: Some((dall.slice(y, last)?, lens)),
            };
            let [x, step, b, c] = packed_rows(dx, columns(size))?;
            let to = Grads {
                step,
                x,
                b,
                c,
                log_rates: dparams.slice(0, size.rates())?,
                skip: dparams.slice(size.rates(), size.heads)?,
                h0: Some(dh0),
            };
            cuda::backward(gpu, &self.inputs(inputs)?, &saved, &to, scratch)
        }
    }
}
