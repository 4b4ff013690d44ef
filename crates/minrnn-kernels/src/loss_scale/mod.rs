//! The factor on a loss whose gradients are computed in float16, and how it moves.
//!
//! float16 holds 6e-8 to 65504. Gradients of a mean over many steps are smaller, and would be 0: so the loss is multiplied by a
//! factor, the gradients by none smaller, and the sums in f32 are divided by it (Micikevicius et al., "Mixed Precision Training",
//! 2018). Where a gradient is not finite, the factor was too large: the step is left out, and the factor halved. After many steps
//! without, it is doubled. Factors are powers of two, so that no bit depends on them as long as nothing is too small or too large.

#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(all(test, feature = "cuda"))]
mod cuda_tests;
#[cfg(test)]
mod tests;

/// The smallest factor to go down to: a gradient that is not finite without any is in trouble by itself.
pub const LOWEST: f32 = 1.0;
/// The largest: 2^40, as many binades as float16 has.
pub const HIGHEST: f32 = (1u64 << 40) as f32;
/// The most steps that are counted: f32 counts them one by one.
pub const MOST_STEPS: u32 = 1 << 24;
/// Words of a factor's block on a device, f32.
pub const WORDS: usize = 8;

/// A factor, and what moves it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// What the loss of the next step is multiplied by, a power of two.
    pub scale: f32,
    /// Steps since it changed.
    pub good: u32,
    /// Steps after which it is doubled, 1 to [`MOST_STEPS`]; `None`: it is fixed.
    pub interval: Option<u32>,
}

impl Default for LossScale {
    /// None: fixed at 1.
    fn default() -> Self {
        Self {
            scale: 1.0,
            good: 0,
            interval: None,
        }
    }
}

impl LossScale {
    /// Behind a step whose gradients were all finite, or not: `None` where that is no fault of the factor, which is fixed or as low
    /// as it goes; else such a step is left out.
    pub fn after(self, finite: bool) -> Option<Self> {
        let Some(interval) = self.interval else {
            return finite.then_some(self);
        };
        let with = |scale, good| {
            Some(Self {
                scale,
                good,
                ..self
            })
        };
        match finite {
            false if self.scale > LOWEST => with(self.scale / 2.0, 0),
            false => None,
            true if self.good + 1 < interval => with(self.scale, self.good + 1),
            true => with((2.0 * self.scale).min(HIGHEST), 0),
        }
    }

    /// Whether a number may be a factor.
    pub fn may_be(scale: f64) -> bool {
        let range = f64::from(LOWEST)..=f64::from(HIGHEST);
        // Powers of two have no mantissa.
        range.contains(&scale) && scale.to_bits().trailing_zeros() >= 52
    }

    /// As a device has it: factor, steps, interval (0: fixed), then of the last step the factor and whether it was left out (1), then how
    /// many were left out since somebody looked.
    pub fn words(self) -> [f32; WORDS] {
        let interval = self.interval.unwrap_or(0);
        let mut words = [0.0; WORDS];
        words[..4].copy_from_slice(&[self.scale, self.good as f32, interval as f32, self.scale]);
        words
    }

    /// Of such words; their number is that of the caller.
    pub fn of(words: &[f32]) -> Self {
        Self {
            scale: words[0],
            good: words[1] as u32,
            interval: Some(words[2] as u32).filter(|n| *n > 0),
        }
    }
}
