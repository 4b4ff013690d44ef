//! Which features a file takes as numbers, by channel.

use crate::error::{Error, Result};

/// By channel the least and the largest feature that the file takes as a number.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRange {
    pub(crate) each: Vec<(f32, f32)>,
}

impl FeatureRange {
    /// The least and the largest feature of each channel.
    pub fn channels(&self) -> &[(f32, f32)] {
        &self.each
    }

    /// The first of the channels of a step that does not fit.
    fn beyond(&self, step: &[f32]) -> Option<usize> {
        let fits = |(x, (least, most)): (&f32, &(f32, f32))| least <= x && x <= most;
        step.iter().zip(&self.each).position(|pair| !fits(pair))
    }

    /// Whether the features of a step fit.
    pub(crate) fn fits(&self, step: &[f32]) -> bool {
        self.beyond(step).is_none()
    }

    /// Refuses features `[.., time, width]` that are numbers, and none in float16.
    pub(crate) fn check(&self, values: &[f32], time: usize, width: usize) -> Result<()> {
        for (at, step) in values.chunks_exact(width.max(1)).enumerate() {
            let Some(channel) = self.beyond(step) else {
                continue;
            };
            let ((least, most), value) = (self.each[channel], step[channel]);
            let (row, step) = (at / time, at % time);
            let what = format!(
                "row {row}, step {step}, channel {channel}: {value:?} is outside of {least:?} to {most:?}, beyond which the file's float16 has infinity"
            );
            let mend = "normalise the units of the features, or export as f32 or bf16";
            return Err(Error::input("features", what, mend));
        }
        Ok(())
    }
}
