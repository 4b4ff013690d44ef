//! The data of a configuration against those of a checkpoint.

use super::super::config::TrainConfig;
use super::super::differences::{Change, Differences, changes};
use super::{Origin, Purpose, json};
use crate::error::{Result, TrainError};
use crate::task::DataDigest;

impl Origin<'_> {
    /// Whether the data are known to be those of the checkpoint.
    pub(in crate::trainer) fn same_data(&self, data: &Option<DataDigest>) -> bool {
        self.record.data.is_some() && self.record.data == *data
    }

    /// Data that are said to be new are.
    pub(in crate::trainer) fn refuse_same(&self, data: &Option<DataDigest>) -> Result<()> {
        let message = if data.is_none() {
            "the task makes its samples itself and has no data that could be new; leave --new-data out"
        } else if self.same_data(data) {
            "nothing is new: the data are those of the checkpoint; leave --new-data out, or give others by task.path"
        } else {
            return Ok(());
        };
        Err(TrainError::config("--new-data", message))
    }

    /// What figures on these data are not: those of the checkpoint's training. `None`: they are.
    pub(in crate::trainer) fn other_data(&self, data: &Option<DataDigest>) -> Option<String> {
        let new = data.as_ref()?;
        let Some(old) = &self.record.data else {
            return Some("the checkpoint does not say which data it was trained on: these may have been among them".into());
        };
        let parts = parts(old, new)?;
        Some(format!(
            "{parts} of the checkpoint's training: figures are of these data, and the checkpoint may have been trained on some of them"
        ))
    }

    pub(super) fn compare_data(
        &self,
        data: &Option<DataDigest>,
        purpose: Purpose,
        task_changes: &[Change],
        found: &mut Differences,
    ) {
        let (Purpose::Resume { new_data: false }, Some(old), Some(new)) =
            (purpose, &self.record.data, data)
        else {
            return;
        };
        let Some(parts) = parts(old, new) else {
            return;
        };
        let keys: Vec<String> = task_changes.iter().map(Change::arrow).collect();
        let why = match keys.is_empty() {
            true => String::new(),
            false => format!(" ({})", keys.join(", ")),
        };
        let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
        let (a, b) = match old.train == new.train {
            true => (short(&old.validation), short(&new.validation)),
            false => (short(&old.train), short(&new.train)),
        };
        found.push(
            "data",
            format!("{parts} of the checkpoint{why}: sha256 {a}.. there, {b}.. here"),
        );
    }

    /// Keys of the task that changed, but for those that are told as meaning.
    pub(super) fn task_changes(&self, config: &TrainConfig) -> Vec<Change> {
        const TOLD: [&str; 6] = [
            "task.normalize_targets",
            "task.kind",
            "task.feature_columns",
            "task.target_columns",
            "task.target",
            "task.per",
        ];
        let Some(old) = &self.task else { return vec![] };
        let all = changes("task", Some(old), Some(&json(&config.task)));
        let told = |change: &Change| TOLD.contains(&change.key.as_str());
        all.into_iter().filter(|c| !told(c)).collect()
    }
}

/// Which parts are not the same.
fn parts(old: &DataDigest, new: &DataDigest) -> Option<&'static str> {
    match (old.train == new.train, old.validation == new.validation) {
        (true, true) => None,
        (false, true) => Some("the training part is not that"),
        (true, false) => Some("the validation part is not that"),
        (false, false) => Some("the training and the validation part are not those"),
    }
}
