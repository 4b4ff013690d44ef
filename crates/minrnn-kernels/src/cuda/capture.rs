//! Captured sequences of launches.

use candle_core::cuda_backend::cudarc::driver::{CudaGraph, sys};

use super::apart::capturing;
use super::{CudaError, Gpu, Result};

/// How often a capture is tried that somebody else broke.
const TRIES: usize = 5;

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
    /// Kernels should have run once before: loading them is no part of a graph. Where another thread waits for the whole GPU meanwhile
    /// ([`apart`](super::apart) keeps those of this crate away), the record is lost whatever its mode, and is made again: `work` may run
    /// several times.
    ///
    /// # Errors
    /// Those of `work`; [`CudaError::Driver`] where something in it cannot be captured.
    pub fn capture(&self, mut work: impl FnMut() -> Result<()>) -> Result<Captured> {
        self.bind()?;
        capturing(|| {
            for _ in 1..TRIES {
                if let Some(done) = self.record(&mut work) {
                    return done;
                }
            }
            self.record(&mut work)
                .unwrap_or_else(|| Err(CudaError::driver("capture", "broken from outside")))
        })
    }

    /// One capture; `None` where it was broken.
    fn record(&self, work: &mut impl FnMut() -> Result<()>) -> Option<Result<Captured>> {
        let before = self.launches();
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        if let Err(e) = self.stream().begin_capture(mode) {
            return Some(Err(CudaError::driver("begin a capture", e)));
        }
        let worked = work();
        let flags = sys::CUgraphInstantiate_flags_enum(0);
        let ended = self.stream().end_capture(flags);
        let broken = sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if ended.as_ref().is_err_and(|e| e.0 == broken) {
            return None;
        }
        let graph = worked.and_then(|()| {
            let graph = ended.map_err(|e| CudaError::driver("end a capture", e))?;
            graph.ok_or_else(|| CudaError::driver("end a capture", "nothing was captured"))
        });
        Some(graph.map(|graph| Captured {
            graph,
            nodes: self.launches() - before,
        }))
    }
}
