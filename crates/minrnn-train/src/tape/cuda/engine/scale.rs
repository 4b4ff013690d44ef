//! The factor on the loss of steps in float16, which moves on the GPU.

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::View;
use minrnn_kernels::loss_scale::{LossScale, cuda as kernels};

use super::{Engine, StepReport};
use crate::error::Result;
use crate::tape::Space;
use crate::tape::cuda::machine::NUMBERS;

/// Of a step: the factor, and 1 where it was left out.
const OF_STEP: [usize; 2] = [3, 2];

impl Engine {
    /// Whether gradients are computed in float16.
    fn is_scaled(&self) -> bool {
        self.options.compute == Elem::F16
    }

    /// The factor of the next step, as of the last [`Engine::reports`]; `None` where gradients are not computed in float16.
    pub fn loss_scale(&self) -> Option<LossScale> {
        self.is_scaled().then_some(self.scale)
    }

    /// Sets it; fixed at 1 at first.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_loss_scale(&mut self, scale: LossScale) -> Result<()> {
        let block = self.store.view(Space::Scale)?;
        block.write(&self.gpu, &scale.words())?;
        self.scale = scale;
        Ok(())
    }

    /// The optimizer's numbers of this update and of those before it: which of them it is, the GPU knows.
    pub(super) fn numbers(&self, update: u64, lr: f64) -> Result<()> {
        if !self.is_scaled() {
            return Ok(());
        }
        let rows = self.pending as u64 + 1;
        let mut words = vec![];
        for back in 0..rows.min(update) {
            let numbers = self.options.rule.control(update - back, lr);
            words.extend(numbers.iter().map(|n| n.to_bits()));
            words.resize(words.len().next_multiple_of(NUMBERS), 0);
        }
        let all = self.store.view(Space::Numbers)?;
        Ok(all.slice(0, words.len())?.write(&self.gpu, &words)?)
    }

    /// Keeps what a step did with the factor behind its report.
    pub(super) fn keep_scale(&self, row: View<'_>) -> Result<()> {
        if self.is_scaled() {
            let block = self.store.view(Space::Scale)?;
            let [from, len] = OF_STEP;
            row.copy_from(&self.gpu, block.slice(from, len)?)?;
        }
        Ok(())
    }

    /// A step's report of its row: loss, norm, factor of clipping, then what [`Engine::keep_scale`] kept.
    pub(super) fn report(&self, row: &[f32]) -> StepReport {
        StepReport {
            loss: row[0],
            grad_norm: row[1],
            scale: self.is_scaled().then_some(row[3]),
            skipped: self.is_scaled() && row[4] != 0.0,
        }
    }

    /// What a gradient is of, where it is computed in float16.
    pub(super) fn scaled(&self) -> String {
        match self.is_scaled() {
            // As f64, which is written out in full: of an f32 so large only the first digits would be right.
            true => {
                let factor = f64::from(self.scale.scale);
                format!(" (in float16, of the loss times {factor})")
            }
            false => String::new(),
        }
    }

    /// The factor as the steps on the stream left it; their number is known now.
    pub(super) fn look_at_scale(&mut self) -> Result<()> {
        if !self.is_scaled() {
            return Ok(());
        }
        let block = self.store.view(Space::Scale)?;
        let (scale, left_out) = kernels::read(&self.gpu, block)?;
        if left_out > 0 {
            kernels::looked(&self.gpu, block)?;
        }
        self.scale = scale;
        Ok(())
    }
}
