//! What a run's figures depend on, as one number: a run stays good where the experiment's file changes elsewhere.

use std::collections::BTreeMap;

use super::experiment::{Experiment, Kind, Row, leaves};
use super::outcome::Outcome;
use super::parcel;

impl Experiment {
    /// sha256 of the settings that a run was or would be made by: those of its row's configuration and of what is measured; neither titles
    /// nor the paper's numbers, nor the seed or the length that its case names. `None`: there is no such row.
    pub(super) fn settings(&self, run: &Outcome, small: bool) -> Option<String> {
        let row = self.row(&run.row)?;
        Some(self.settings_of(row, small, run.device == "cuda"))
    }

    fn settings_of(&self, row: &Row, small: bool, on_gpu: bool) -> String {
        let mut all = BTreeMap::new();
        leaves("config.", &self.merged(row, small, on_gpu), &mut all);
        let mut say = |key: &str, value: String| drop(all.insert(key.to_owned(), value));
        say("kind", format!("{:?}", row.kind));
        say("after", format!("{:?}", row.after));
        say("sequences", format!("{:?} {:?}", row.sequences, row.group));
        say("engine", format!("{:?}", row.engine));
        say("verify", format!("{:?}", row.verify));
        say("cut", format!("{:?}", row.cut));
        if !row.batches.is_empty() {
            say("batches", format!("{:?}", row.batches));
        }
        if matches!(row.kind, Kind::Train | Kind::Stream) {
            let lengths = super::queue::lengths(row, small);
            say("lengths", format!("{lengths:?}"));
        }
        // Data come from that row's task, whichever device trained it.
        if let Some(of) = row.of.as_deref().and_then(|of| self.row(of)) {
            say("of", self.settings_of(of, small, false));
        }
        let lines: String = all.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
        parcel::hex(lines.as_bytes())
    }
}
