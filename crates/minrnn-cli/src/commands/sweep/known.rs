//! Whether the runs that are over were trained on the data that lie there now.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use minrnn_train::task::{DataDigest, TaskConfig};

use super::outcome::Outcome;
use crate::config::Config;
use crate::memory;

/// Data that were looked at: many runs have the same.
pub(super) struct Known {
    config: PathBuf,
    all: Vec<(TaskConfig, u64, Option<DataDigest>)>,
}

impl Known {
    pub(super) fn of(config: &Path) -> Self {
        Self {
            config: config.to_path_buf(),
            all: vec![],
        }
    }

    /// Holds a run in the folder `place` to the data of its configuration. Runs of older versions do not say theirs.
    ///
    /// # Errors
    /// Other data under the same path; data that cannot be read.
    pub(super) fn hold(&mut self, outcome: &Outcome, sets: &[String], place: &Path) -> Result<()> {
        let Some(old) = &outcome.data else {
            return Ok(());
        };
        let config = Config::read_for(&self.config, sets, None)?;
        let (task, seed) = (&config.train.task, config.train.train.seed);
        let there = self.all.iter().find(|(t, s, _)| t == task && *s == seed);
        let new = match there {
            Some((.., new)) => new.clone(),
            None => {
                let opened = task.open_within(seed, memory::available());
                let new = opened.map_err(|e| config.explain(e))?.digest();
                self.all.push((task.clone(), seed, new.clone()));
                new
            }
        };
        if new.as_ref() != Some(old) {
            bail!(
                "{} was trained on other data than those that lie there now, so that its figures are not comparable; give the data of its runs back, or choose another folder with --out",
                place.display()
            );
        }
        Ok(())
    }
}
