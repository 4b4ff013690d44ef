//! How a run ended: what is the same on every machine, and apart from it what a clock measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A run that is over. No time is in it: the same seed makes the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) row: String,
    /// Which one of the row: a seed, a length, a group of sequences.
    pub(super) case: String,
    /// `cpu` or `cuda`.
    pub(super) device: String,
    /// sha256 of the settings that it was made by.
    pub(super) settings: String,
    pub(super) figures: BTreeMap<String, f64>,
    /// Of evaluations along a training: steps and what the experiment's curve shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) curve: Vec<(u64, f64)>,
    /// What was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Trained>,
    /// sha256 of the weights that sequences were streamed through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) streamed: Option<String>,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
}

/// A trained model and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trained {
    pub(super) parameters: usize,
    pub(super) weights_sha256: String,
    /// Forms that were exported and verified.
    pub(super) forms: Vec<String>,
    pub(super) holds: bool,
    /// Checks that the verification made.
    pub(super) checks: usize,
    /// Where the export lies, in the folder of the experiment; `None`: it has files that are too large, and was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) export: Option<String>,
}

/// What a clock measured of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    pub(super) row: String,
    pub(super) case: String,
    /// Of the run; of older files nothing.
    #[serde(default)]
    pub(super) device: String,
    /// When it was over, seconds since 1970.
    pub(super) finished: u64,
    /// Of the whole run, those of calls before too where it trained.
    pub(super) seconds: f64,
    /// Figures that are times.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) figures: BTreeMap<String, f64>,
}

/// A run that is over, whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) times: Times,
}

impl Done {
    /// One without figures yet.
    pub(super) fn new(row: &str, case: &str, device: &str) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            outcome: Outcome {
                row: row.to_owned(),
                case: case.to_owned(),
                device: device.to_owned(),
                settings: String::new(),
                figures: BTreeMap::new(),
                curve: vec![],
                model: None,
                streamed: None,
                failed: None,
            },
            times: Times {
                row: row.to_owned(),
                case: case.to_owned(),
                device: device.to_owned(),
                finished: since.map_or(0, |t| t.as_secs()),
                seconds: 0.0,
                figures: BTreeMap::new(),
            },
        }
    }

    pub(super) fn figure(&mut self, key: impl Into<String>, value: f64) {
        self.outcome.figures.insert(key.into(), value);
    }

    pub(super) fn time(&mut self, key: impl Into<String>, value: f64) {
        self.times.figures.insert(key.into(), value);
    }

    pub(super) fn is_of(&self, row: &str, case: &str) -> bool {
        self.outcome.row == row && self.outcome.case == case
    }

    /// The name of its files.
    pub(super) fn key(&self) -> String {
        format!("{}-{}", self.outcome.row, self.outcome.case)
    }

    /// A figure of either kind.
    pub(super) fn get(&self, key: &str) -> Option<f64> {
        let figures = &self.outcome.figures;
        figures
            .get(key)
            .or_else(|| self.times.figures.get(key))
            .copied()
    }

    /// Whether a check did not hold, or there are no figures.
    pub(super) fn fails(&self) -> bool {
        self.outcome.failed.is_some() || self.outcome.model.as_ref().is_some_and(|m| !m.holds)
    }
}
