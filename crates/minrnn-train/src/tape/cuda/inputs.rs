//! A batch on its way to the GPU.

use minrnn_kernels::cuda::{CudaError, Gpu};

use super::machine::Machine;
use crate::error::Result;
use crate::tape::Space;
pub use crate::tape::inputs::{Inputs, Wanted};

impl Inputs<'_> {
    /// Puts them into the memory of a plan, as far as it reads them.
    pub(super) fn upload(&self, gpu: &Gpu, machine: &Machine) -> Result<()> {
        let used = |space: Space| {
            let launches = &machine.plan.launches;
            launches
                .iter()
                .flat_map(|l| l.places())
                .find(|p| p.space == space)
        };
        let words = |space: Space, values: &[u32]| -> Result<(), CudaError> {
            match used(space) {
                Some(place) => machine.view(place)?.write(gpu, values),
                None => Ok(()),
            }
        };
        let floats = |space: Space, values: &[f32]| -> Result<(), CudaError> {
            match used(space) {
                Some(place) => machine.view(place)?.write(gpu, values),
                None => Ok(()),
            }
        };
        words(Space::Ids, self.ids)?;
        floats(Space::Features, self.features)?;
        match self.wanted {
            Wanted::Classes(ids) => words(Space::Targets, ids)?,
            Wanted::Values(values) => floats(Space::TargetValues, values)?,
            Wanted::Zeros => {}
        }
        if let Some(weights) = self.weights {
            floats(Space::Weights, weights)?;
        }
        if let Some(lens) = self.lens {
            words(Space::Lens, lens)?;
        }
        Ok(())
    }
}
