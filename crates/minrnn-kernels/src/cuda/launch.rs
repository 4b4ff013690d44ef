//! Launches of the kernels in this crate.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::driver::{CudaFunction, LaunchConfig, sys};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;

use super::{CudaError, Gpu, Result, View};

macro_rules! modules {
    ($($(#[$doc:meta])* $variant:ident => $file:literal,)*) => {
        /// A file of kernels, `src/**/{name}.cu`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Module { $($(#[$doc])* $variant,)* }
        impl Module {
            /// Stem of the file.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $file,)* }
            }
            /// Machine code and PTX, as nvcc wrote them.
            pub(super) fn image(self) -> Ptx {
                let bytes: &[u8] = match self {
                    $(Self::$variant => include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".fatbin")),)*
                };
                Ptx::from_binary(bytes.to_vec())
            }
        }
    };
}
modules! {
    LinearScan => "linear_scan",
    MinGru => "min_gru",
    MinLstm => "min_lstm",
    Norm => "norm",
    CausalConv => "causal_conv",
    Activation => "activation",
    ColumnSum => "column_sum",
    Embedding => "embedding",
    CrossEntropy => "cross_entropy",
    MeanSquare => "mean_square",
    Adamw => "adamw",
    Muon => "muon",
    Elementwise => "elementwise",
    SelectiveScan => "selective_scan",
    DiagonalScan => "diagonal_scan",
    Convolution => "convolution",
    MaxScan => "max_scan",
    Feedback => "feedback",
    LossScale => "loss_scale",
    Attend => "attend",
}

impl Module {
    /// Compute capabilities that the kernels were built for.
    pub(super) const BUILT_FOR: &'static str = match option_env!("MINRNN_COMPUTE_CAP") {
        Some(cap) => cap,
        None => "unknown",
    };

    /// Of those that the kernels were built for, the one that a GPU of this compute capability takes.
    pub(super) fn taken_by((major, minor): (i32, i32)) -> Option<u32> {
        let own = u32::try_from(10 * major + minor).ok()?;
        let built = Self::BUILT_FOR.split(',').filter_map(|arch| {
            let digits = arch.trim_end_matches(|c: char| !c.is_ascii_digit());
            digits.parse::<u32>().ok()
        });
        built.filter(|arch| *arch <= own).max()
    }
}

/// Shared memory that a block gets without asking.
const SHARED_DEFAULT: u32 = 48 * 1024;

/// A launch in the making: a kernel and its arguments in order.
pub(crate) struct Call<'a> {
    gpu: &'a Gpu,
    function: CudaFunction,
    name: String,
    /// Each argument in the low bytes of one word, as the driver reads it on little-endian machines.
    arguments: Vec<u64>,
    early: bool,
}

impl<'a> Call<'a> {
    /// Of the kernel `name` in `module`.
    pub(crate) fn new(gpu: &'a Gpu, module: Module, name: &str) -> Result<Self> {
        gpu.bind()?;
        Ok(Self {
            gpu,
            function: gpu.function(module, name)?,
            name: name.to_owned(),
            arguments: Vec::with_capacity(16),
            early: false,
        })
    }
    /// A pointer.
    pub(crate) fn view(mut self, view: View<'_>) -> Self {
        self.arguments.push(view.address());
        self
    }
    /// A pointer, null for `None`.
    pub(crate) fn opt(mut self, view: Option<View<'_>>) -> Self {
        self.arguments.push(view.map_or(0, View::address));
        self
    }
    /// An `int`; sizes beyond it are refused by [`Call::launch`].
    pub(crate) fn i32(mut self, value: i32) -> Self {
        self.arguments.push(u64::from(value as u32));
        self
    }
    /// An `unsigned`.
    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.arguments.push(u64::from(value));
        self
    }
    /// A `long long`.
    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.arguments.push(value as u64);
        self
    }
    /// A `float`.
    pub(crate) fn f32(mut self, value: f32) -> Self {
        self.arguments.push(u64::from(value.to_bits()));
        self
    }

    /// The kernel waits for the launch in front of it by itself (`take_turns` in `turns.cuh`), so it may begin
    /// before that one has ended, where [`Gpu::early`] says so.
    pub(crate) fn early(mut self) -> Self {
        self.early = self.gpu.early();
        self
    }

    /// Whether the GPU can run one of the clusters that the kernel was compiled for, of so many blocks of so many threads with so much
    /// shared memory. Clusters of more than 8 blocks, which not every GPU has, are allowed from here on.
    pub(crate) fn fits_a_cluster(&self, blocks: u32, threads: u32, shared_bytes: u32) -> bool {
        let larger = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
        if blocks > 8 && self.function.set_attribute(larger, 1).is_err() {
            return false;
        }
        if self.allow_shared(shared_bytes).is_err() {
            return false;
        }
        let config = LaunchConfig {
            grid_dim: (blocks, 1, 1),
            block_dim: (threads, 1, 1),
            shared_mem_bytes: shared_bytes,
        };
        let fit = (self.function).occupancy_max_active_clusters(config, self.gpu.stream());
        fit.is_ok_and(|clusters| clusters > 0)
    }

    fn allow_shared(&self, bytes: u32) -> Result<()> {
        if bytes <= SHARED_DEFAULT {
            return Ok(());
        }
        let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let set = self.function.set_attribute(most, bytes as i32);
        set.map_err(|e| {
            let what = format!("give `{}` {bytes} bytes of shared memory", self.name);
            CudaError::driver(what, e)
        })
    }

    /// Puts the launch on the stream.
    #[allow(unsafe_code, reason = "launch of a kernel")]
    pub(crate) fn launch(
        mut self,
        grid: (u32, u32, u32),
        block: (u32, u32, u32),
        shared_bytes: u32,
    ) -> Result<()> {
        self.allow_shared(shared_bytes)?;
        let mut pointers: Vec<*mut c_void> = self
            .arguments
            .iter_mut()
            .map(|a| std::ptr::from_mut(a).cast())
            .collect();
        let stream = self.gpu.stream().cu_stream();
        let mut early = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue {
                programmaticStreamSerializationAllowed: 1,
            },
        };
        let config = sys::CUlaunchConfig {
            gridDimX: grid.0,
            gridDimY: grid.1,
            gridDimZ: grid.2,
            blockDimX: block.0,
            blockDimY: block.1,
            blockDimZ: block.2,
            sharedMemBytes: shared_bytes,
            hStream: stream,
            attrs: &raw mut early,
            numAttrs: u32::from(self.early),
        };
        // SAFETY: wrappers of this crate give the kernel's parameters in their order and types, with views whose lengths
        // they have checked; the memory outlives the launch, as frees go to the same stream. The attribute outlives the call.
        let launched = unsafe {
            sys::cuLaunchKernelEx(
                &raw const config,
                self.function.cu_function(),
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        }
        .result();
        launched.map_err(|e| {
            let what = format!("launch `{}` on {grid:?} blocks of {block:?}", self.name);
            CudaError::driver(what, e)
        })?;
        self.gpu.count_launch();
        Ok(())
    }
}
