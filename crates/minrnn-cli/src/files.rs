//! Folders and files that commands read and write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::trainer::take_model;

use crate::verify::Export;

/// The newest checkpoint of a run.
pub(crate) const LAST: &str = "last";
/// The checkpoint of a run with the lowest validation loss.
pub(crate) const BEST: &str = "best";
/// The log of a run.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// What an export always has.
pub(crate) const MANIFEST: &str = "manifest.json";

/// A checkpoint with its model.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    /// Configuration and vocabulary; its parameters are `params`.
    pub(crate) checkpoint: Checkpoint,
    pub(crate) model: Model,
    pub(crate) params: Params,
}

/// Whether the folder is a checkpoint or a run.
pub(crate) fn has_checkpoint(path: &Path) -> bool {
    path.join("config.json").exists() || path.join(BEST).is_dir()
}

/// Reads the checkpoint in `path`; if that is the folder of a run, its `best`.
pub(crate) fn load_checkpoint(path: &Path) -> Result<Loaded> {
    let best = path.join(BEST);
    let path = if !path.join("config.json").exists() && best.is_dir() {
        best
    } else {
        path.to_path_buf()
    };
    if path.join(MANIFEST).exists() {
        bail!(
            "{} is an export; give the folder of the checkpoint it was made from",
            path.display()
        );
    }
    let mut checkpoint = Checkpoint::load_weights(&path)?;
    let (model, params) = take_model(&mut checkpoint, &path)?;
    Ok(Loaded {
        path,
        checkpoint,
        model,
        params,
    })
}

/// The export in the folder `path`, every file held against the manifest.
pub(crate) fn open_export(path: &Path) -> Result<Export> {
    if path.is_dir() && !path.join(MANIFEST).exists() {
        bail!(
            "{} is no export: it has no {MANIFEST}; `minrnn export CHECKPOINT --out DIR` makes one",
            path.display()
        );
    }
    Ok(Export::open(path)?)
}

/// Whether the folder is absent or has nothing in it.
pub(crate) fn is_free(dir: &Path) -> Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e).with_context(|| format!("cannot use {} as a folder", dir.display())),
    }
}

/// Writes a file whole: beside, then renamed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    let name = path
        .file_name()
        .with_context(|| format!("{} is not the name of a file", path.display()))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(".tmp");
    let beside = path.with_file_name(beside);
    std::fs::write(&beside, bytes).with_context(what)?;
    std::fs::rename(&beside, path).with_context(what)
}
