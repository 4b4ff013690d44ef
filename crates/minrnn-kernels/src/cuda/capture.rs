//! Captured sequences of launches.

use candle_core::cuda_backend::cudarc::driver::{CudaGraph, sys};

use super::{CudaError, Gpu, Result};

/// A sequence of launches, replayed by one call.
pub struct Captured {
    graph: CudaGraph,
    nodes: u64,
}

#[allow(unsafe_code, reason = "the graph moves between threads as a whole")]
// SAFETY: a graph is not bound to a thread; `&mut self` in `launch` keeps calls on it one after the other.
unsafe impl Send for Captured {}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Captured({} launches)", self.nodes)
    }
}

impl Captured {
    /// Puts all launches on the stream.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn launch(&mut self) -> Result<()> {
        let launched = self.graph.launch();
        launched.map_err(|e| CudaError::driver("replay a captured graph", e))
    }
    /// Kernels and matrix products in it.
    pub fn launches(&self) -> u64 {
        self.nodes
    }
}

impl Gpu {
    /// Records what `work` puts on the stream; nothing of it runs. The memory of all views in it must outlive the result.
    /// Kernels should have run once before: loading them is no part of a graph.
    ///
    /// # Errors
    /// Those of `work`; [`CudaError::Driver`] where something in it cannot be captured.
    pub fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Captured> {
        self.bind()?;
        let before = self.launches();
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        let begun = self.stream().begin_capture(mode);
        begun.map_err(|e| CudaError::driver("begin a capture", e))?;
        let worked = work();
        let flags = sys::CUgraphInstantiate_flags_enum(0);
        let ended = self.stream().end_capture(flags);
        worked?;
        let graph = ended.map_err(|e| CudaError::driver("end a capture", e))?;
        let graph =
            graph.ok_or_else(|| CudaError::driver("end a capture", "nothing was captured"))?;
        Ok(Captured {
            graph,
            nodes: self.launches() - before,
        })
    }
}
