//! Where a training run stands.

use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;

/// The best validation result so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestMetric {
    /// Name of the metric.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// The step at which it was measured.
    pub step: u64,
}

/// Everything besides weights and moments that a resumed run needs. Random numbers need no state: they are functions
/// of the seed and of the counters here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Steps done so far; the next one has this number.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Training samples used so far; the next one has this index.
    pub samples: u64,
    /// The learning rates.
    pub schedule: Schedule,
    /// The best validation result.
    pub best: Option<BestMetric>,
    /// Evaluations since the best one, for early stopping.
    #[serde(default)]
    pub evals_since_best: u64,
}
