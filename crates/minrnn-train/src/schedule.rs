//! The learning rate as a function of the step.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// How the rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Stays at `lr`.
    Constant,
    /// Half a cosine from `lr` down to `min_lr` at `total_steps`, `min_lr` from there on.
    #[default]
    Cosine,
}

/// Linear warm-up to `lr`, then [`Decay`]. A function of the step alone, so that a resumed run goes on exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What follows the warm-up.
    #[serde(default)]
    pub decay: Decay,
    /// The highest rate.
    pub lr: f64,
    /// The rate at the end of the cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Steps of the warm-up: step `s` of them has the rate `lr * (s + 1) / warmup_steps`.
    #[serde(default)]
    pub warmup_steps: u64,
    /// The step at which the cosine reaches `min_lr`; not used by `constant`.
    #[serde(default)]
    pub total_steps: u64,
}

impl Schedule {
    /// The same rate at every step.
    pub fn constant(lr: f64) -> Self {
        Self {
            decay: Decay::Constant,
            lr,
            min_lr: 0.0,
            warmup_steps: 0,
            total_steps: 0,
        }
    }

    /// Warm-up, then half a cosine down to `min_lr`.
    pub fn cosine(lr: f64, min_lr: f64, warmup_steps: u64, total_steps: u64) -> Self {
        Self {
            decay: Decay::Cosine,
            lr,
            min_lr,
            warmup_steps,
            total_steps,
        }
    }

    /// Whether the rates make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(TrainError::config("lr", message));
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return wrong(format!("is {}, expected a positive number", self.lr));
        }
        // What is 0 or infinite in float32 teaches nothing.
        if !(self.lr as f32).is_normal() {
            return wrong(format!("is {:e}, which float32 cannot hold", self.lr));
        }
        if self.decay == Decay::Constant {
            return Ok(());
        }
        if !(0.0..=self.lr).contains(&self.min_lr) {
            return Err(TrainError::config(
                "min_lr",
                format!("is {}, expected 0 to lr = {}", self.min_lr, self.lr),
            ));
        }
        if self.total_steps == 0 {
            return Err(TrainError::config(
                "total_steps",
                "is 0, expected at least 1",
            ));
        }
        if self.total_steps <= self.warmup_steps {
            let message = format!(
                "is {}, expected less than the run's {} steps: the cosine comes behind the warm-up",
                self.warmup_steps, self.total_steps
            );
            return Err(TrainError::config("warmup_steps", message));
        }
        Ok(())
    }

    /// The rate of `step`, counted from 0.
    pub fn lr_at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.lr * ((step + 1) as f64 / self.warmup_steps as f64);
        }
        if self.decay == Decay::Constant {
            return self.lr;
        }
        let length = self.total_steps.saturating_sub(self.warmup_steps);
        let done = step - self.warmup_steps;
        if done >= length {
            return self.min_lr;
        }
        // libm: the same bits on every machine.
        let cosine = libm::cos(std::f64::consts::PI * (done as f64 / length as f64));
        self.min_lr + (self.lr - self.min_lr) * (0.5 * (1.0 + cosine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_points() {
        let s = Schedule::cosine(1.0, 0.1, 10, 110);
        let at = |step| (s.lr_at(step) * 1e12).round() / 1e12;
        assert_eq!((at(0), at(4), at(9)), (0.1, 0.5, 1.0));
        assert_eq!(
            (at(10), at(60), at(110), at(u64::MAX)),
            (1.0, 0.55, 0.1, 0.1)
        );
        let quarter = 0.1 + 0.9 * 0.5 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
        assert!((s.lr_at(35) - quarter).abs() < 1e-14);
        assert_eq!(Schedule::constant(3e-4).lr_at(1_000_000), 3e-4);
        let warm = Schedule {
            warmup_steps: 4,
            ..Schedule::constant(2.0)
        };
        assert_eq!([0, 1, 3, 4].map(|s| warm.lr_at(s)), [0.5, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn options_are_checked_by_name() {
        let toml = |text: &str| toml::from_str::<Schedule>(text);
        let s = toml("lr = 1e-3\nmin_lr = 1e-4\nwarmup_steps = 100\ntotal_steps = 5000").unwrap();
        assert_eq!(s, Schedule::cosine(1e-3, 1e-4, 100, 5000));
        assert!(
            toml("lr = 1e-3\nwarm_up = 3")
                .unwrap_err()
                .to_string()
                .contains("warm_up")
        );
        let bad = [
            (Schedule::constant(0.0), "`lr`"),
            (Schedule::constant(f64::NAN), "`lr`"),
            (Schedule::cosine(1.0, 0.0, 0, 0), "`total_steps`"),
            (Schedule::constant(1e-50), "`lr`"),
            (Schedule::constant(1e50), "`lr`"),
            (Schedule::cosine(1.0, 2.0, 0, 5), "`min_lr`"),
            (Schedule::cosine(1.0, f64::NAN, 0, 5), "`min_lr`"),
            (
                Schedule::cosine(1.0, 0.0, 5, 5),
                "`warmup_steps`: is 5, expected less than the run's 5 steps",
            ),
        ];
        for (schedule, field) in bad {
            assert!(schedule.validate().unwrap_err().to_string().contains(field));
        }
        assert!(s.validate().is_ok());
    }

    proptest! {
        #[test]
        fn rises_then_falls_within_its_bounds(
            lr in 1e-6_f64..1.0, part in 0.0_f64..=1.0, warmup in 0_u64..50, length in 1_u64..200, step in 0_u64..300,
        ) {
            let s = Schedule::cosine(lr, lr * part, warmup, warmup + length);
            prop_assert!(s.validate().is_ok());
            let (now, next) = (s.lr_at(step), s.lr_at(step + 1));
            prop_assert!(now > 0.0 || part == 0.0 && step >= warmup + length);
            prop_assert!(now <= lr);
            if step + 1 < warmup { prop_assert!(now < next) }
            if step >= warmup { prop_assert!(now >= next && next >= lr * part * (1.0 - 1e-15)) }
        }
    }
}
