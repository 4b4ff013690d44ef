//! candle's tensors on a GPU, as the kernels take them.

#[cfg(test)]
mod tests;

use std::sync::Mutex;

use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda_backend::{CudaStorageSlice, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Layout, Result, Shape, Storage, Tensor};

use crate::cuda::{Gpu, View};
use crate::{Elem, KernelError};

/// The GPU behind a device of candle. They are kept, so that kernels are loaded once for each device.
fn gpu(device: &CudaDevice) -> Result<Gpu> {
    static KNOWN: Mutex<Vec<(DeviceId, Gpu)>> = Mutex::new(vec![]);
    let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some((_, gpu)) = known.iter().find(|(id, _)| *id == device.id()) {
        return Ok(gpu.clone());
    }
    let gpu = Gpu::from_candle(device)?;
    known.push((device.id(), gpu.clone()));
    Ok(gpu)
}

fn address<T>(slice: &CudaSlice<T>, stream: &CudaStream) -> u64 {
    slice.device_ptr(stream).0
}

/// A contiguous tensor's elements.
#[allow(unsafe_code, reason = "memory of candle's tensors")]
fn view<'a>(op: &'static str, storage: &'a CudaStorage, layout: &Layout) -> Result<View<'a>> {
    let stream = storage.device.cuda_stream();
    let (first, elem) = match &storage.slice {
        CudaStorageSlice::F32(s) => (address(s, &stream), Elem::F32),
        CudaStorageSlice::BF16(s) => (address(s, &stream), Elem::Bf16),
        CudaStorageSlice::F16(s) => (address(s, &stream), Elem::F16),
        CudaStorageSlice::U32(s) => (address(s, &stream), Elem::U32),
        other => return Err(crate::tensors::bad_device_float(op, "input", dtype(other))),
    };
    let (from, to) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op }.bt())?;
    // SAFETY: candle's layout says that these elements lie in the storage, which lives as long as the view; its memory
    // is freed on the stream that the launch goes to.
    Ok(unsafe { View::from_raw(first + (from * elem.size()) as u64, to - from, elem) })
}

fn dtype(slice: &CudaStorageSlice) -> DType {
    match slice {
        CudaStorageSlice::U8(_) => DType::U8,
        CudaStorageSlice::U32(_) => DType::U32,
        CudaStorageSlice::I64(_) => DType::I64,
        _ => DType::F64,
    }
}

/// Memory that the kernel is going to fill.
#[allow(unsafe_code, reason = "outputs are written completely by the kernels")]
fn empty(device: &CudaDevice, shape: &Shape, dtype: DType) -> Result<CudaStorage> {
    // SAFETY: the caller's kernel writes every element before anything reads it, in the order of the stream.
    unsafe { device.alloc_uninit(shape, dtype) }
}

/// Scratch for one launch.
#[allow(unsafe_code, reason = "memory of candle's allocator")]
fn with_scratch<R>(
    device: &CudaDevice,
    len: usize,
    run: impl FnOnce(View<'_>) -> crate::cuda::Result<R>,
) -> Result<R> {
    let zeros = device.alloc_zeros::<f32>(len.max(1))?;
    // SAFETY: the allocation lives until the launch is on the stream, and is freed on that stream.
    let view = unsafe { View::from_raw(address(&zeros, &device.cuda_stream()), len, Elem::F32) };
    Ok(run(view)?)
}

/// New contiguous tensors of these shapes and types, which `run` fills completely: it gets the inputs, the outputs and f32
/// scratch of the length that `scratch` says.
pub(crate) fn forward<const N: usize, const M: usize>(
    op: &'static str,
    inputs: [(&CudaStorage, &Layout); N],
    outputs: [(Shape, DType); M],
    scratch: impl FnOnce(&Gpu) -> usize,
    run: impl FnOnce(&Gpu, [View<'_>; N], [View<'_>; M], View<'_>) -> crate::cuda::Result<()>,
) -> Result<[CudaStorage; M]> {
    let device = inputs[0].0.device.clone();
    let gpu = gpu(&device)?;
    let views = all(inputs.map(|(storage, layout)| {
        if storage.device.id() != device.id() {
            return Err(elsewhere(op, &Device::Cuda(storage.device.clone())));
        }
        view(op, storage, layout)
    }))?;
    let made = all(outputs
        .each_ref()
        .map(|(shape, dtype)| empty(&device, shape, *dtype)))?;
    let to = all(std::array::from_fn(|i| {
        let layout = Layout::contiguous(outputs[i].0.clone());
        view(op, &made[i], &layout)
    }))?;
    with_scratch(&device, scratch(&gpu), |scratch| {
        run(&gpu, views, to, scratch)
    })?;
    Ok(made)
}

/// As [`forward`], from and to tensors: for backward passes.
pub(crate) fn backward<const N: usize, const M: usize>(
    op: &'static str,
    inputs: [&Tensor; N],
    outputs: [(&Shape, DType); M],
    scratch: impl FnOnce(&Gpu) -> usize,
    run: impl FnOnce(&Gpu, [View<'_>; N], [View<'_>; M], View<'_>) -> crate::cuda::Result<()>,
) -> Result<[Tensor; M]> {
    let held = inputs.map(Tensor::storage_and_layout);
    let parts = all(held.each_ref().map(|(storage, layout)| match &**storage {
        Storage::Cuda(storage) => Ok((storage, *layout)),
        other => Err(elsewhere(op, &other.device())),
    }))?;
    let wanted = outputs.map(|(shape, dtype)| (shape.clone(), dtype));
    let made = forward(op, parts, wanted, scratch, run)?;
    let mut shapes = outputs.iter().map(|(shape, _)| (*shape).clone());
    Ok(made.map(|storage| {
        let shape = shapes.next().expect("as many shapes as storages");
        Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
    }))
}

fn elsewhere(op: &'static str, device: &Device) -> candle_core::Error {
    KernelError::Device {
        op,
        input: "input",
        device: format!("{:?}, not on that of the others", device.location()),
    }
    .into()
}

/// All of them, or the first error.
fn all<T, const N: usize>(results: [Result<T>; N]) -> Result<[T; N]> {
    let values = results.into_iter().collect::<Result<Vec<T>>>()?;
    match values.try_into() {
        Ok(values) => Ok(values),
        Err(_) => unreachable!("N values of N results"),
    }
}
