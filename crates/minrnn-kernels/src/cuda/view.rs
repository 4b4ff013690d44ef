//! Device memory and typed parts of it.

use std::marker::PhantomData;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream, DevicePtr, result};

use super::{CudaError, Gpu, Result};
use crate::Elem;

/// Elements that lie in host memory as they lie on the device.
pub trait Plain: Copy {
    /// Their type.
    const ELEM: Elem;
}
impl Plain for f32 {
    const ELEM: Elem = Elem::F32;
}
impl Plain for u32 {
    const ELEM: Elem = Elem::U32;
}

/// An allocation on the GPU, freed on drop.
#[derive(Debug)]
pub struct Memory {
    slice: CudaSlice<u8>,
    address: u64,
    bytes: usize,
    stream: Arc<CudaStream>,
}

impl Memory {
    /// `bytes` bytes of any content.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    #[allow(unsafe_code, reason = "memory that kernels fill before they read it")]
    pub fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let stream = gpu.stream().clone();
        // SAFETY: bytes have no invalid values.
        let slice = unsafe { stream.alloc::<u8>(bytes.max(1)) }.map_err(|_| {
            let (free, total) = gpu.memory().unwrap_or_default();
            CudaError::Memory { bytes, free, total }
        })?;
        let (address, _) = slice.device_ptr(&stream);
        Ok(Self {
            address,
            bytes,
            stream,
            slice,
        })
    }

    /// All bytes 0.
    ///
    /// # Errors
    /// [`CudaError::Memory`], [`CudaError::Driver`].
    pub fn zeroed(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let memory = Self::new(gpu, bytes)?;
        memory.fill(0)?;
        Ok(memory)
    }

    /// A copy of host values.
    ///
    /// # Errors
    /// [`CudaError::Memory`], [`CudaError::Driver`].
    pub fn from_slice<T: Plain>(gpu: &Gpu, values: &[T]) -> Result<Self> {
        let memory = Self::new(gpu, std::mem::size_of_val(values))?;
        memory.view(0, values.len(), T::ELEM)?.write(gpu, values)?;
        Ok(memory)
    }

    /// Sets every byte, in the order of the stream.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    #[allow(unsafe_code, reason = "driver call")]
    pub fn fill(&self, byte: u8) -> Result<()> {
        // SAFETY: the range is this allocation.
        unsafe { result::memset_d8_async(self.address, byte, self.bytes, self.stream.cu_stream()) }
            .map_err(|e| CudaError::driver("fill memory", e))
    }

    /// Bytes.
    pub fn bytes(&self) -> usize {
        self.slice.len().min(self.bytes)
    }

    /// `len` elements that begin `offset` bytes in.
    ///
    /// # Errors
    /// [`CudaError::Value`] where they do not lie inside, or are not aligned to their size.
    pub fn view(&self, offset: usize, len: usize, elem: Elem) -> Result<View<'_>> {
        let end = len
            .checked_mul(elem.size())
            .and_then(|n| n.checked_add(offset));
        if end.is_none_or(|end| end > self.bytes) || !offset.is_multiple_of(elem.size()) {
            let problem = format!(
                "{len} elements of {elem:?} at byte {offset} are no part of {} bytes",
                self.bytes
            );
            return Err(CudaError::Value {
                op: "view",
                problem,
            });
        }
        Ok(View {
            address: self.address + offset as u64,
            len,
            elem,
            memory: PhantomData,
        })
    }

    /// All of it as elements of one type.
    ///
    /// # Errors
    /// As [`Memory::view`].
    pub fn all(&self, elem: Elem) -> Result<View<'_>> {
        self.view(0, self.bytes / elem.size(), elem)
    }
}

/// Some elements of an allocation. A plain address with a length: views may overlap, and launches on one stream see
/// each other's writes in order.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    address: u64,
    len: usize,
    elem: Elem,
    memory: PhantomData<&'a Memory>,
}

impl<'a> View<'a> {
    /// A view of memory that someone else owns.
    ///
    /// # Safety
    /// `len` elements at `address` must live, on the device of the launches, for as long as the view and all launches with it.
    #[allow(unsafe_code, reason = "memory of candle's tensors")]
    pub(crate) unsafe fn from_raw(address: u64, len: usize, elem: Elem) -> Self {
        Self {
            address,
            len,
            elem,
            memory: PhantomData,
        }
    }
    /// Address on the device.
    pub(crate) fn address(self) -> u64 {
        self.address
    }
    /// Elements.
    pub fn len(self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
    /// Type of the elements.
    pub fn elem(self) -> Elem {
        self.elem
    }
    /// `len` elements from element `from`.
    ///
    /// # Errors
    /// [`CudaError::Value`] where they do not lie inside.
    pub fn slice(self, from: usize, len: usize) -> Result<View<'a>> {
        if from.checked_add(len).is_none_or(|end| end > self.len) {
            let problem = format!("{len} elements from {from} are no part of {}", self.len);
            return Err(CudaError::Value {
                op: "slice",
                problem,
            });
        }
        Ok(View {
            address: self.address + (from * self.elem.size()) as u64,
            len,
            ..self
        })
    }

    /// Copies host values in, in the order of the stream; the values may be reused when this returns.
    ///
    /// # Errors
    /// [`CudaError::Length`], [`CudaError::Type`], [`CudaError::Driver`].
    #[allow(unsafe_code, reason = "driver call")]
    pub fn write<T: Plain>(self, gpu: &Gpu, values: &[T]) -> Result<()> {
        need("write", "values", self, &[T::ELEM], values.len())?;
        gpu.bind()?;
        // SAFETY: the lengths agree, `Plain` says that the bytes do; pageable memory is staged before the call returns.
        unsafe { result::memcpy_htod_async(self.address, values, gpu.stream().cu_stream()) }
            .map_err(|e| CudaError::driver("copy to the GPU", e))
    }

    /// Waits for the stream and copies the values out.
    ///
    /// # Errors
    /// [`CudaError::Type`], [`CudaError::Driver`].
    #[allow(unsafe_code, reason = "driver call")]
    pub fn read<T: Plain + Default>(self, gpu: &Gpu) -> Result<Vec<T>> {
        need("read", "values", self, &[T::ELEM], self.len)?;
        gpu.bind()?;
        let mut values = vec![T::default(); self.len];
        // SAFETY: the lengths agree, `Plain` says that the bytes do; the stream is waited for before `values` is used.
        unsafe { result::memcpy_dtoh_async(&mut values, self.address, gpu.stream().cu_stream()) }
            .map_err(|e| CudaError::driver("copy from the GPU", e))?;
        gpu.synchronize()?;
        Ok(values)
    }

    /// Copies the elements of another view of the same type and length, in the order of the stream.
    ///
    /// # Errors
    /// [`CudaError::Length`], [`CudaError::Type`], [`CudaError::Driver`].
    #[allow(unsafe_code, reason = "driver call")]
    pub fn copy_from(self, gpu: &Gpu, from: View<'_>) -> Result<()> {
        need("copy", "from", from, &[self.elem], self.len)?;
        gpu.bind()?;
        let bytes = self.len * self.elem.size();
        // SAFETY: both ranges lie inside of live memory, and have this length.
        unsafe {
            result::memcpy_dtod_async(self.address, from.address, bytes, gpu.stream().cu_stream())
        }
        .map_err(|e| CudaError::driver("copy on the GPU", e))
    }

    /// Sets every byte, in the order of the stream.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    #[allow(unsafe_code, reason = "driver call")]
    pub fn fill(self, gpu: &Gpu, byte: u8) -> Result<()> {
        gpu.bind()?;
        let bytes = self.len * self.elem.size();
        // SAFETY: the range lies inside of live memory.
        unsafe { result::memset_d8_async(self.address, byte, bytes, gpu.stream().cu_stream()) }
            .map_err(|e| CudaError::driver("fill memory", e))
    }
}

/// Refuses a view of another length or of a type that is not in the list.
pub(crate) fn need(
    op: &'static str,
    arg: &'static str,
    view: View<'_>,
    elem: &[Elem],
    len: usize,
) -> Result<()> {
    if !elem.contains(&view.elem) {
        return Err(CudaError::Type {
            op,
            arg,
            got: view.elem,
            expected: elem.to_vec(),
        });
    }
    if view.len != len {
        return Err(CudaError::Length {
            op,
            arg,
            got: view.len,
            expected: len,
        });
    }
    Ok(())
}
