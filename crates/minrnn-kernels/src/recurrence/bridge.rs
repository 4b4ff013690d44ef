//! candle's tensors on a GPU, as the kernels take them.

use std::sync::Mutex;

use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda_backend::{CudaStorageSlice, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Layout, Result, Shape, Storage, Tensor};

use super::Size;
use super::cuda::scratch_len;
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
    size: Size,
    run: impl FnOnce(View<'_>) -> crate::cuda::Result<R>,
) -> Result<R> {
    let len = scratch_len(size.b, size.t, size.d);
    let zeros = device.alloc_zeros::<f32>(len)?;
    // SAFETY: the allocation lives until the launch is on the stream, and is freed on that stream.
    let view = unsafe { View::from_raw(address(&zeros, &device.cuda_stream()), len, Elem::F32) };
    Ok(run(view)?)
}

/// h, of the type of input `typed`, from the inputs.
pub(crate) fn forward<const N: usize>(
    op: &'static str,
    size: Size,
    typed: usize,
    inputs: [(&CudaStorage, &Layout); N],
    run: impl FnOnce(&Gpu, [View<'_>; N], View<'_>, View<'_>) -> crate::cuda::Result<()>,
) -> Result<(CudaStorage, Shape)> {
    let device = inputs[typed].0.device.clone();
    let h = empty(
        &device,
        &size.shape(),
        candle_core::backend::BackendStorage::dtype(inputs[typed].0),
    )?;
    let gpu = gpu(&device)?;
    let views = all(inputs.map(|(storage, layout)| view(op, storage, layout)))?;
    let to = view(op, &h, &Layout::contiguous(size.shape()))?;
    with_scratch(&device, size, |scratch| run(&gpu, views, to, scratch))?;
    Ok((h, size.shape()))
}

/// The outputs, of these shapes and types, from contiguous inputs.
pub(crate) fn backward<const N: usize, const M: usize>(
    op: &'static str,
    size: Size,
    inputs: [&Tensor; N],
    outputs: [(&Shape, DType); M],
    run: impl FnOnce(&Gpu, [View<'_>; N], [View<'_>; M], View<'_>) -> crate::cuda::Result<()>,
) -> Result<[Tensor; M]> {
    let device = match inputs[0].device() {
        Device::Cuda(device) => device.clone(),
        other => return Err(elsewhere(op, other)),
    };
    let gpu = gpu(&device)?;
    let made = all(outputs.map(|(shape, dtype)| empty(&device, shape, dtype)))?;
    {
        let held = inputs.map(Tensor::storage_and_layout);
        let views = all(held.each_ref().map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) if storage.device.id() == device.id() => {
                view(op, storage, layout)
            }
            other => Err(elsewhere(op, &other.device())),
        }))?;
        let to: [Result<View<'_>>; M] = std::array::from_fn(|i| {
            let layout = Layout::contiguous(outputs[i].0.clone());
            view(op, &made[i], &layout)
        });
        let to = all(to)?;
        with_scratch(&device, size, |scratch| run(&gpu, views, to, scratch))?;
    }
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
