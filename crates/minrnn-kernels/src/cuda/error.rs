//! What can go wrong on a GPU.

use crate::Elem;

/// Why something could not run on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// There is no such GPU.
    #[error(
        "no CUDA GPU {ordinal}: {reason}; check `nvidia-smi` for the driver and the GPUs, or use the device cpu"
    )]
    NoDevice {
        /// Number of the GPU, from 0.
        ordinal: usize,
        /// What the driver says.
        reason: String,
    },
    /// The kernels in this program were built for other GPUs.
    #[error(
        "the kernels of `{module}` were built for compute capability {built}, the GPU `{gpu}` has {found}: build again with CUDA_COMPUTE_CAP={found}"
    )]
    Image {
        /// File of kernels.
        module: &'static str,
        /// Compute capabilities in the program.
        built: &'static str,
        /// Name of the GPU.
        gpu: String,
        /// Its compute capability, e.g. 90.
        found: String,
    },
    /// The driver refused a call.
    #[error("CUDA: {what}: {reason}")]
    Driver {
        /// What was asked for.
        what: String,
        /// The driver's answer.
        reason: String,
    },
    /// Memory for so many bytes could not be had.
    #[error(
        "the GPU has no {bytes} bytes left ({free} free of {total}); use a smaller batch, shorter sequences, or 16-bit activations"
    )]
    Memory {
        /// Bytes wanted.
        bytes: usize,
        /// Bytes free.
        free: usize,
        /// Bytes that the GPU has.
        total: usize,
    },
    /// An argument has another length than the operation needs.
    #[error("{op}: `{arg}` has {got} elements, but must have {expected}")]
    Length {
        /// The operation.
        op: &'static str,
        /// The argument.
        arg: &'static str,
        /// Elements found.
        got: usize,
        /// Elements needed.
        expected: usize,
    },
    /// An argument has an element type that the operation does not take.
    #[error("{op}: `{arg}` is {got:?}, but must be one of {expected:?}")]
    Type {
        /// The operation.
        op: &'static str,
        /// The argument.
        arg: &'static str,
        /// Type found.
        got: Elem,
        /// Types taken.
        expected: Vec<Elem>,
    },
    /// A value that the operation does not take.
    #[error("{op}: {problem}")]
    Value {
        /// The operation.
        op: &'static str,
        /// What is wrong and what would mend it.
        problem: String,
    },
}

impl CudaError {
    pub(crate) fn driver(what: impl Into<String>, reason: impl std::fmt::Debug) -> Self {
        Self::Driver {
            what: what.into(),
            reason: format!("{reason:?}"),
        }
    }
}

impl From<CudaError> for candle_core::Error {
    fn from(error: CudaError) -> Self {
        candle_core::Error::wrap(error)
    }
}
