//! Time as the GPU sees it.

use candle_core::cuda_backend::cudarc::driver::{CudaEvent, sys};

use super::{CudaError, Gpu, Result};

/// Marks on the stream, and the time between them.
#[derive(Debug)]
pub struct Timer {
    gpu: Gpu,
    marks: Vec<CudaEvent>,
}

impl Timer {
    /// Without marks.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            gpu: gpu.clone(),
            marks: vec![],
        }
    }

    /// Puts a mark on the stream.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn mark(&mut self) -> Result<()> {
        let flags = sys::CUevent_flags::CU_EVENT_DEFAULT;
        let event = self.gpu.stream().record_event(Some(flags));
        let event = event.map_err(|e| CudaError::driver("record an event", e))?;
        self.marks.push(event);
        Ok(())
    }

    /// Waits, and gives the milliseconds between marks 0 and 1, 2 and 3, and so on.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn pairs(&self) -> Result<Vec<f32>> {
        self.gpu.synchronize()?;
        let between = |pair: &[CudaEvent]| {
            let ms = pair[0].elapsed_ms(&pair[1]);
            ms.map_err(|e| CudaError::driver("read the time between events", e))
        };
        self.marks.chunks_exact(2).map(between).collect()
    }
}
