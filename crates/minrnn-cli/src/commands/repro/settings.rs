//! What a run's figures depend on, as one number: a run stays good where the experiment's file changes elsewhere.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::experiment::{Experiment, Kind, Row, merge};
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

    /// The configuration of a row: what all share, then what GPUs have besides, what the row sets, and what the small version changes.
    pub(super) fn merged(&self, row: &Row, small: bool, on_gpu: bool) -> Table {
        let mut table = self.config.clone();
        let gpu = on_gpu.then_some(&self.cuda);
        let smaller = small.then_some([&self.small, &row.small]);
        let over = gpu.into_iter().chain([&row.set]);
        for over in over.chain(smaller.into_iter().flatten()) {
            merge(&mut table, over);
        }
        table
    }
}

/// Values by their dotted keys.
pub(super) fn leaves(prefix: &str, table: &Table, all: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => leaves(&format!("{name}."), inner, all),
            _ => drop(all.insert(name, value.to_string())),
        }
    }
}
