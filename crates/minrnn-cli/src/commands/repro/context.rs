//! What all runs of a call share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use minrnn_train::trainer::Device;

use super::budget::Budget;
use super::cost::Cost;
use super::experiment::{Experiment, Row, Wish};
use super::python::Torch;
use crate::config::Config;
use crate::ui::Ui;

pub(super) struct Context<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) ui: &'a Ui,
    pub(super) device: Device,
    /// `cpu` or `cuda`.
    pub(super) place: &'static str,
    pub(super) dir: PathBuf,
    pub(super) budget: Budget,
    pub(super) small: bool,
    pub(super) text: Option<PathBuf>,
    /// PyTorch, with `--python`.
    pub(super) torch: RefCell<Option<Torch>>,
    /// What steps were measured to cost, by row.
    pub(super) costs: RefCell<BTreeMap<String, Cost>>,
}

impl Context<'_> {
    /// The configuration of a row.
    pub(super) fn config(&self, row: &Row, seed: u64, length: Option<u64>) -> Result<Config> {
        let text = self.text_of(row)?;
        self.experiment.config(
            row,
            Wish {
                text: text.as_ref().and_then(|p| p.to_str()),
                length,
                ..self.wish(seed)
            },
        )
    }

    /// What is asked of the configuration of any row, the whole text in it.
    pub(super) fn wish(&self, seed: u64) -> Wish<'_> {
        Wish {
            small: self.small,
            on_gpu: self.place == "cuda",
            seed,
            text: self.text.as_ref().and_then(|p| p.to_str()),
            length: None,
        }
    }

    /// The text that a row is trained on: the whole, or what is cut from its beginning.
    fn text_of(&self, row: &Row) -> Result<Option<PathBuf>> {
        let (Some(text), true) = (&self.text, self.experiment.text) else {
            return Ok(None);
        };
        let Some(part) = row.cut else {
            return Ok(Some(text.clone()));
        };
        let whole = crate::files::read_text(text, u64::from(u32::MAX))?;
        let count = (whole.chars().count() as f64 * part) as usize;
        let cut: String = whole.chars().take(count).collect();
        let to = self.runs().join(format!("{}.txt", row.name));
        std::fs::create_dir_all(self.runs())?;
        crate::files::write(&to, cut.as_bytes())?;
        Ok(Some(to))
    }

    /// Folders of runs that go on.
    pub(super) fn runs(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// Parcels of runs that a call left.
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(super) fn export(&self, key: &str) -> PathBuf {
        self.dir.join(EXPORTS).join(key)
    }

    /// Takes what no run needs any longer away.
    pub(super) fn tidy(&self) {
        // Texts that were cut for a run are made anew by the next one.
        for entry in std::fs::read_dir(self.runs())
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.path().extension().is_some_and(|end| end == "txt") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        for name in ["runs", EXPORTS] {
            // What is not empty stays.
            let _ = std::fs::remove_dir(self.dir.join(name));
        }
    }
}

/// Exports that are kept.
pub(super) const EXPORTS: &str = "exports";

/// Removes a folder that may not be there.
pub(super) fn remove(dir: &Path) -> Result<()> {
    use anyhow::Context as _;
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
