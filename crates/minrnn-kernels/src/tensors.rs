//! From tensors to slices: the checks that every operation makes on its inputs.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, WithDType};
use std::ops::Deref;

use crate::KernelError;

/// Runs `$body` with `$t` as the type of `$dtype`, or refuses the type by name.
macro_rules! with_float {
    ($op:expr, $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $t = f64;
                $body
            }
            got => Err($crate::tensors::bad_float($op, "input", got)),
        }
    };
}
pub(crate) use with_float;

pub(crate) fn bad_float(op: &'static str, input: &'static str, got: DType) -> candle_core::Error {
    let expected = "F32 or F64";
    KernelError::DType {
        op,
        input,
        got,
        expected,
    }
    .into()
}

/// The refusal of a type that recurrences do not take on a GPU.
pub(crate) fn bad_device_float(
    op: &'static str,
    input: &'static str,
    got: DType,
) -> candle_core::Error {
    let expected = "F32, BF16 or F16 on a GPU";
    KernelError::DType {
        op,
        input,
        got,
        expected,
    }
    .into()
}

/// Whether a tensor lies on a GPU for which this build has kernels.
pub(crate) fn on_gpu(tensor: &Tensor) -> bool {
    cfg!(feature = "cuda") && tensor.device().is_cuda()
}

/// In f32 where it lies on a GPU: states are f32 there whatever the activations are.
pub(crate) fn f32_on_gpu(tensor: &Tensor) -> Result<Tensor> {
    if on_gpu(tensor) {
        tensor.to_dtype(DType::F32)
    } else {
        Ok(tensor.clone())
    }
}

/// An input under inspection: the operation, the name of the input, the tensor.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) op: &'static str,
    pub(crate) name: &'static str,
    pub(crate) tensor: &'a Tensor,
}

impl<'a> Input<'a> {
    /// A float tensor without an empty dimension, on a GPU f32.
    pub(crate) fn float(op: &'static str, name: &'static str, tensor: &'a Tensor) -> Result<Self> {
        let input = Self { op, name, tensor };
        input.where_kernels_are()?;
        match tensor.dtype() {
            DType::F64 if on_gpu(tensor) => Err(KernelError::DType {
                op,
                input: name,
                got: DType::F64,
                expected: "F32 on a GPU",
            }
            .into()),
            DType::F32 | DType::F64 => Ok(input),
            got => Err(bad_float(op, name, got)),
        }
    }

    /// A float tensor of a recurrence: as [`Input::float`], or f32, bf16 or f16 on a GPU.
    pub(crate) fn recurrent(
        op: &'static str,
        name: &'static str,
        tensor: &'a Tensor,
    ) -> Result<Self> {
        if !on_gpu(tensor) {
            return Self::float(op, name, tensor);
        }
        match tensor.dtype() {
            DType::F32 | DType::BF16 | DType::F16 => Ok(Self { op, name, tensor }),
            got => Err(bad_device_float(op, name, got)),
        }
    }

    /// A tensor of u32 indices.
    pub(crate) fn indices(
        op: &'static str,
        name: &'static str,
        tensor: &'a Tensor,
    ) -> Result<Self> {
        let input = Self { op, name, tensor };
        input.where_kernels_are()?;
        if tensor.dtype() == DType::U32 {
            return Ok(input);
        }
        Err(KernelError::DType {
            op,
            input: name,
            got: tensor.dtype(),
            expected: "U32",
        }
        .into())
    }

    fn where_kernels_are(self) -> Result<()> {
        if self.tensor.device().is_cpu() || on_gpu(self.tensor) {
            return Ok(());
        }
        Err(KernelError::Device {
            op: self.op,
            input: self.name,
            device: format!("{:?}", self.tensor.device().location()),
        }
        .into())
    }

    /// Refuses another element type than that of `other`.
    pub(crate) fn like(self, other: Input<'_>) -> Result<Self> {
        if self.tensor.dtype() == other.tensor.dtype() {
            return Ok(self);
        }
        Err(KernelError::DType {
            op: self.op,
            input: self.name,
            got: self.tensor.dtype(),
            expected: match other.tensor.dtype() {
                DType::F32 => "F32, as the other inputs",
                DType::BF16 => "BF16, as the other inputs",
                DType::F16 => "F16, as the other inputs",
                _ => "F64, as the other inputs",
            },
        }
        .into())
    }

    /// Refuses another element type than that of `other`; on a GPU, f32 may stand beside any other.
    pub(crate) fn like_or_f32(self, other: Input<'_>) -> Result<Self> {
        if on_gpu(self.tensor) && on_gpu(other.tensor) && self.tensor.dtype() == DType::F32 {
            return Ok(self);
        }
        self.like(other)
    }

    /// Refuses any shape but `dims`, which `letters` explains.
    pub(crate) fn shaped(self, dims: &[usize], letters: &str) -> Result<Self> {
        if self.tensor.dims() == dims {
            return Ok(self);
        }
        Err(self.bad_shape(format!("{letters} = {dims:?}")))
    }

    /// The three sizes, each at least 1.
    pub(crate) fn dims3(self, letters: &str) -> Result<(usize, usize, usize)> {
        match *self.tensor.dims() {
            [x, y, z] if x * y * z > 0 => Ok((x, y, z)),
            [_, _, _] => Err(self.empty()),
            _ => Err(self.bad_shape(letters.to_string())),
        }
    }

    /// The two sizes, each at least 1.
    pub(crate) fn dims2(self, letters: &str) -> Result<(usize, usize)> {
        match *self.tensor.dims() {
            [x, y] if x * y > 0 => Ok((x, y)),
            [_, _] => Err(self.empty()),
            _ => Err(self.bad_shape(letters.to_string())),
        }
    }

    /// The number of rows and the width of the last dimension, each at least 1.
    pub(crate) fn rows(self, letters: &str) -> Result<(usize, usize)> {
        match self.tensor.dims().split_last() {
            Some((&width, rest)) => {
                let rows = rest.iter().product::<usize>();
                if rows * width > 0 {
                    Ok((rows, width))
                } else {
                    Err(self.empty())
                }
            }
            None => Err(self.bad_shape(letters.to_string())),
        }
    }

    /// The one size, at least 1.
    pub(crate) fn dims1(self, letters: &str) -> Result<usize> {
        match *self.tensor.dims() {
            [x] if x > 0 => Ok(x),
            [_] => Err(self.empty()),
            _ => Err(self.bad_shape(letters.to_string())),
        }
    }

    pub(crate) fn bad_shape(self, expected: String) -> candle_core::Error {
        KernelError::Shape {
            op: self.op,
            input: self.name,
            got: self.tensor.dims().to_vec(),
            expected,
        }
        .into()
    }

    fn empty(self) -> candle_core::Error {
        KernelError::Empty {
            op: self.op,
            input: self.name,
            got: self.tensor.dims().to_vec(),
        }
        .into()
    }
}

/// The elements of a contiguous CPU tensor as candle hands it to a custom operation.
pub(crate) fn slice<'a, T: WithDType>(
    op: &'static str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let all = storage.as_slice::<T>()?;
    layout
        .contiguous_offsets()
        .and_then(|(start, end)| all.get(start..end))
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op }.bt())
}

/// A tensor held for reading: the way a backward pass gets at its values.
pub(crate) struct Held<'a, G> {
    op: &'static str,
    storage: G,
    layout: &'a Layout,
}

/// Holds `tensor`, which must be contiguous, for reading.
pub(crate) fn hold<'a>(
    op: &'static str,
    tensor: &'a Tensor,
) -> Held<'a, impl Deref<Target = Storage> + 'a> {
    let (storage, layout) = tensor.storage_and_layout();
    Held {
        op,
        storage,
        layout,
    }
}

impl<G: Deref<Target = Storage>> Held<'_, G> {
    pub(crate) fn slice<T: WithDType>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(cpu) => slice(self.op, cpu, self.layout),
            other => Err(KernelError::Device {
                op: self.op,
                input: "gradient",
                device: format!("{:?}", other.device().location()),
            }
            .into()),
        }
    }
}

/// Refuses an epsilon that cannot keep a division from 0.
pub(crate) fn check_eps(op: &'static str, eps: f64) -> Result<()> {
    if eps > 0.0 && eps.is_finite() {
        return Ok(());
    }
    Err(KernelError::Value {
        op,
        input: "eps",
        problem: format!("is {eps}, but must be positive and finite"),
    }
    .into())
}

/// Refuses the first index that is not below `limit`, among those that `used` says are read.
pub(crate) fn check_indices(
    op: &'static str,
    input: &'static str,
    indices: &[u32],
    limit: usize,
    used: impl Fn(usize) -> bool,
) -> Result<()> {
    let bad = |&(i, &x): &(usize, &u32)| x as usize >= limit && used(i);
    match indices.iter().enumerate().find(bad) {
        None => Ok(()),
        Some((position, &index)) => Err(KernelError::Index {
            op,
            input,
            position,
            index: index as usize,
            limit,
        }
        .into()),
    }
}
