//! The time that a call may take.

use std::time::{Duration, Instant};

/// Since the call began, and when it is to be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    began: Instant,
    seconds: Option<f64>,
}

impl Budget {
    pub(super) fn new(seconds: Option<f64>) -> Self {
        Self {
            began: Instant::now(),
            seconds,
        }
    }

    /// Seconds that are left; `None`: any number.
    pub(super) fn left(&self) -> Option<f64> {
        let used = self.began.elapsed().as_secs_f64();
        self.seconds.map(|all| (all - used).max(0.0))
    }

    /// Seconds since the call began.
    pub(super) fn used(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The whole of it, seconds.
    pub(super) fn all(&self) -> Option<f64> {
        self.seconds
    }

    /// Seconds with which a call does ten steps of `ms`, where so many seconds go by before the first one: a tenth is kept for the end.
    pub(super) fn for_a_step(&self, before: f64, ms: f64) -> Option<u64> {
        self.seconds?;
        Some(((before + 0.01 * ms) * 1.25).ceil() as u64 + 1)
    }

    pub(super) fn is_over(&self) -> bool {
        self.left() == Some(0.0)
    }

    /// When a training has to stop, so that `reserve` seconds are left.
    pub(super) fn deadline(&self, reserve: f64) -> Option<Instant> {
        let left = (self.left()? - reserve).max(0.0);
        Some(Instant::now() + Duration::from_secs_f64(left))
    }

    /// Whether what takes so many seconds would be over in time in a whole call, and would not be in this one.
    pub(super) fn is_for_the_next(&self, seconds: f64) -> bool {
        let (Some(left), Some(all)) = (self.left(), self.seconds) else {
            return false;
        };
        seconds > left && seconds <= all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up() {
        let none = Budget::new(None);
        assert!(!none.is_over() && none.deadline(3.0).is_none() && !none.is_for_the_next(1e9));
        assert_eq!(none.for_a_step(3.0, 100.0), None);
        let tiny = Budget::new(Some(0.5));
        assert_eq!(tiny.for_a_step(3.0, 100.0), Some(6));
        let hour = Budget::new(Some(3600.0));
        assert!(!hour.is_over() && !hour.is_for_the_next(1000.0) && !hour.is_for_the_next(4000.0));
        let late = Budget {
            began: Instant::now() - Duration::from_secs(50),
            seconds: Some(60.0),
        };
        assert!(late.is_for_the_next(30.0) && !late.is_for_the_next(5.0));
        assert!(late.deadline(100.0).is_some_and(|at| at <= Instant::now()));
        let over = Budget {
            seconds: Some(40.0),
            ..late
        };
        assert!(over.is_over());
    }
}
