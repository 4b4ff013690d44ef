//! How a run of a sweep ended, as a file in its folder.

use std::path::Path;

use anyhow::{Context, Result};
use minrnn_train::task::DataDigest;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::training::Ended;

/// The file beside the run's checkpoints.
const NAME: &str = "sweep.json";
/// No such file is longer, bytes.
const MOST: u64 = 1 << 20;

/// A run that is over: its values, and its losses or why it failed. No time is in it: the same seed makes the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    /// `key=value` for each key.
    pub(super) set: Vec<String>,
    pub(super) best: Option<Best>,
    /// Of the last evaluation.
    pub(super) loss: Option<f64>,
    /// Of the last evaluation, where targets are classes.
    pub(super) accuracy: Option<f64>,
    pub(super) failed: Option<String>,
    /// What it was trained on, of tasks with files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<DataDigest>,
}

/// The lowest validation loss of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Best {
    pub(super) loss: f64,
    pub(super) step: u64,
}

impl Outcome {
    pub(super) fn of(set: Vec<String>, data: Option<DataDigest>, ended: &Ended) -> Self {
        let best = ended.best.as_ref().map(|b| Best {
            loss: b.value,
            step: b.step,
        });
        Self {
            set,
            best,
            loss: ended.metrics.map(|m| m.loss),
            accuracy: ended.metrics.and_then(|m| m.accuracy),
            failed: None,
            data,
        }
    }

    pub(super) fn failed(set: Vec<String>, data: Option<DataDigest>, why: String) -> Self {
        Self {
            set,
            best: None,
            loss: None,
            accuracy: None,
            failed: Some(why),
            data,
        }
    }

    /// What runs are ranked by: the lowest validation loss.
    pub(super) fn rank(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |b| b.loss)
    }

    /// That of the run in `dir`, if it is over.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        let text = files::read_text(&path, MOST)?;
        let outcome = serde_json::from_str(&text)
            .with_context(|| format!("{} is no outcome of a run", path.display()))?;
        Ok(Some(outcome))
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        files::write(&dir.join(NAME), text.as_bytes())
    }
}
