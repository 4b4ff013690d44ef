//! A model that nothing trained, exported: what is measured of it does not depend on its weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, ExportOptions, write_export};
use minrnn_runtime::Model as File;
use minrnn_train::trainer::resolve;

use super::context::{Context, remove};
use super::queue::Item;

/// Files of an export that are open, and their folder, which goes with them.
pub(super) struct Fresh {
    pub(super) step: Arc<File>,
    /// Of whole sequences: parallel, or of models that have no such form scan.
    pub(super) sequence: File,
    dir: PathBuf,
}

impl Fresh {
    /// The model of a row with its first weights.
    pub(super) fn of(cx: &Context, item: &Item) -> Result<Self> {
        let config = cx.config(item.row, 0, None)?;
        let task = config.train.task.open(0)?;
        let model = Model::from_config(&resolve(&config.train.model, &*task)?)?;
        let params = Params::init(model.graph(), config.train.train.seed);
        let dir = cx.runs().join(item.key());
        remove(&dir)?;
        std::fs::create_dir_all(cx.runs())?;
        let options = DirOptions {
            options: ExportOptions::default().fitting(model.graph()),
            ..DirOptions::default()
        };
        write_export(&dir, &model, &params, &options)?;
        let forms = ["parallel", "scan"].map(|form| file(&dir, form));
        let sequence = forms.into_iter().find(|path| path.exists());
        Ok(Self {
            step: Arc::new(File::open(file(&dir, "step"))?),
            sequence: File::open(sequence.context("no form of whole sequences")?)?,
            dir,
        })
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // A folder that stays is no harm: the next run of that name makes it anew.
        let _ = remove(&self.dir);
    }
}

fn file(dir: &Path, form: &str) -> PathBuf {
    dir.join(format!("model.{form}.onnx"))
}
