//! A GPU with its stream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaStream, sys,
};

use super::apart;
use super::launch::Module;
use super::matmul::Blas;
use super::{CudaError, Result};

/// A GPU: its context, one stream, the kernels loaded so far. Cheap to clone.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    modules: Mutex<BTreeMap<Module, Arc<CudaModule>>>,
    functions: Mutex<BTreeMap<(Module, String), CudaFunction>>,
    blas: Mutex<Option<Arc<Blas>>>,
    multiprocessors: u32,
    launches: AtomicU64,
    /// Whether the kernels that this GPU takes are built for what came with compute capability 9.0: the instruction by which they wait, and clusters.
    hopper: bool,
    /// Whether they are to use it.
    early: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        fn inner<T>(lock: &mut Mutex<T>) -> &mut T {
            lock.get_mut().unwrap_or_else(|e| e.into_inner())
        }
        apart(|| {
            drop(inner(&mut self.blas).take());
            inner(&mut self.functions).clear();
            inner(&mut self.modules).clear();
        });
    }
}
/// Whether kernels that can wait for the launch in front of them may begin before it has ended: `turns.cuh` says why nothing else changes.
const EARLY: bool = true;

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.inner.context.ordinal())
    }
}

impl Gpu {
    /// The GPU `ordinal`, with a stream of its own.
    ///
    /// # Errors
    /// [`CudaError::NoDevice`].
    #[allow(unsafe_code, reason = "one stream: no events are needed")]
    pub fn new(ordinal: usize) -> Result<Self> {
        let none = |reason: String| CudaError::NoDevice { ordinal, reason };
        #[cfg(cuda_on_demand)]
        crate::on_demand::load().map_err(|e| none(e.to_string()))?;
        let context = CudaContext::new(ordinal).map_err(|e| none(format!("{e:?}")))?;
        // SAFETY: everything of this context that is made here is used on one stream only.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(|e| none(format!("{e:?}")))?;
        Self::with_stream(stream)
    }

    /// The GPU and the stream of a candle device.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn from_candle(device: &CudaDevice) -> Result<Self> {
        Self::with_stream(device.cuda_stream())
    }

    fn with_stream(stream: Arc<CudaStream>) -> Result<Self> {
        let context = stream.context().clone();
        let count = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context
            .attribute(count)
            .map_err(|e| CudaError::driver("ask for the number of multiprocessors", e))?;
        let own = context
            .compute_capability()
            .map_err(|e| CudaError::driver("ask for the compute capability", e))?;
        let hopper = Module::taken_by(own) >= Some(90);
        Ok(Self {
            inner: Arc::new(Inner {
                context,
                stream,
                modules: Mutex::default(),
                functions: Mutex::default(),
                blas: Mutex::default(),
                multiprocessors: multiprocessors.max(1) as u32,
                launches: AtomicU64::new(0),
                hopper,
                early: AtomicBool::new(EARLY && hopper),
            }),
        })
    }

    /// The same GPU as a device of candle's, with a stream of its own. Let go of the last clone within [`apart`] where other threads capture.
    ///
    /// # Errors
    /// Those of candle.
    pub fn to_candle(&self) -> candle_core::Result<candle_core::Device> {
        use candle_core::backend::BackendDevice;
        let device = apart(|| CudaDevice::new(self.ordinal()))?;
        Ok(candle_core::Device::Cuda(device))
    }

    /// Its number among this machine's.
    pub fn ordinal(&self) -> usize {
        self.inner.context.ordinal()
    }

    /// Its name.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn name(&self) -> Result<String> {
        let name = self.inner.context.name();
        name.map_err(|e| CudaError::driver("ask for the GPU's name", e))
    }

    /// Compute capability, e.g. `(9, 0)`.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn compute_capability(&self) -> Result<(i32, i32)> {
        let cap = self.inner.context.compute_capability();
        cap.map_err(|e| CudaError::driver("ask for the compute capability", e))
    }

    /// Bytes free and in all.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn memory(&self) -> Result<(usize, usize)> {
        let info = self.inner.context.mem_get_info();
        info.map_err(|e| CudaError::driver("ask for the free memory", e))
    }

    /// Multiprocessors.
    pub fn multiprocessors(&self) -> u32 {
        self.inner.multiprocessors
    }

    /// Whether up to 8 blocks of a kernel can be a cluster: on every GPU that has clusters, but parts of one that are smaller than the
    /// 16 to 18 multiprocessors among which clusters are formed.
    pub(crate) fn clusters(&self) -> bool {
        self.inner.hopper && self.inner.multiprocessors >= 16
    }

    /// Whether launches of kernels that wait by themselves (`take_turns`) may begin before those in front of them have ended.
    pub(super) fn early(&self) -> bool {
        self.inner.early.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set_early(&self, on: bool) {
        self.inner
            .early
            .store(on && self.inner.hopper, Ordering::Relaxed);
    }

    /// Launches so far, kernels and matrix products.
    pub fn launches(&self) -> u64 {
        self.inner.launches.load(Ordering::Relaxed)
    }

    /// Waits until everything on the stream is done.
    ///
    /// # Errors
    /// [`CudaError::Driver`], also for errors of earlier launches.
    pub fn synchronize(&self) -> Result<()> {
        let done = self.inner.stream.synchronize();
        done.map_err(|e| CudaError::driver("wait for the GPU", e))
    }

    pub(super) fn bind(&self) -> Result<()> {
        let bound = self.inner.context.bind_to_thread();
        bound.map_err(|e| CudaError::driver("bind the context to the thread", e))
    }

    pub(crate) fn stream(&self) -> &Arc<CudaStream> {
        &self.inner.stream
    }

    pub(super) fn count_launch(&self) {
        self.inner.launches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn blas(&self) -> Result<Arc<Blas>> {
        let mut blas = self.inner.blas.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(blas) = &*blas {
            return Ok(blas.clone());
        }
        let made = Arc::new(Blas::new(self)?);
        *blas = Some(made.clone());
        Ok(made)
    }

    /// The kernel `name` of `module`, loaded on first use.
    pub(super) fn function(&self, module: Module, name: &str) -> Result<CudaFunction> {
        let key = (module, name.to_owned());
        let lock = |e: std::sync::PoisonError<_>| e.into_inner();
        let mut functions = self.inner.functions.lock().unwrap_or_else(lock);
        if let Some(function) = functions.get(&key) {
            return Ok(function.clone());
        }
        let function = self
            .module(module)?
            .load_function(name)
            .map_err(|e| CudaError::driver(format!("find the kernel `{name}`"), e))?;
        functions.insert(key, function.clone());
        Ok(function)
    }

    fn module(&self, module: Module) -> Result<Arc<CudaModule>> {
        let mut modules = self.inner.modules.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(loaded) = modules.get(&module) {
            return Ok(loaded.clone());
        }
        let loaded = self
            .inner
            .context
            .load_module(module.image())
            .map_err(|e| self.load_error(module, e))?;
        modules.insert(module, loaded.clone());
        Ok(loaded)
    }

    fn load_error(
        &self,
        module: Module,
        error: candle_core::cuda_backend::cudarc::driver::DriverError,
    ) -> CudaError {
        use sys::CUresult as R;
        let no_image = [
            R::CUDA_ERROR_NO_BINARY_FOR_GPU,
            R::CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
            R::CUDA_ERROR_INVALID_PTX,
        ];
        if !no_image.contains(&error.0) {
            return CudaError::driver(format!("load the kernels of `{}`", module.name()), error);
        }
        let (major, minor) = self.compute_capability().unwrap_or_default();
        CudaError::Image {
            module: module.name(),
            built: Module::BUILT_FOR,
            gpu: self.name().unwrap_or_else(|_| "unknown".into()),
            found: format!("{major}{minor}"),
        }
    }
}
