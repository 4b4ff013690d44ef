//! Folders and files that commands read and write.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::is_unfinished;
use minrnn_train::checkpoint::{Checkpoint, take_model};
use minrnn_train::data::read_at_most;

use crate::lock;
use crate::outputs::is_device;
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

/// Whether the folder is a checkpoint or a run. A training may be replacing either of them.
pub(crate) fn has_checkpoint(path: &Path) -> bool {
    let inner = [BEST, LAST].map(|name| path.join(name));
    path.join("config.json").exists() || inner.iter().any(|inner| Checkpoint::is_there(inner))
}

/// Where the checkpoint in `path` is; if that is the folder of a run, its `best`.
pub(crate) fn find_checkpoint(path: &Path) -> Result<PathBuf> {
    let best = path.join(BEST);
    let path = if !path.join("config.json").exists() && Checkpoint::is_there(&best) {
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
    let last = path.join(LAST);
    if !path.join("config.json").exists() && Checkpoint::is_there(&last) {
        let (run, last) = (path.display(), last.display());
        match lock::is_held(&path) {
            true => bail!(
                "{run} has no {BEST} yet, which the first evaluation makes; wait for it, or give {last}"
            ),
            false => bail!(
                "{run} has no {BEST}, which an evaluation of the validation part makes, and nothing trains there; give {last}"
            ),
        }
    }
    Ok(path)
}

/// Reads the checkpoint in `path`; if that is the folder of a run, its `best`.
pub(crate) fn load_checkpoint(path: &Path) -> Result<Loaded> {
    let path = find_checkpoint(path)?;
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
    if path.is_dir() && !path.join(MANIFEST).exists() && !is_unfinished(path) {
        bail!(
            "{} is no export: it has no {MANIFEST}; `minrnn export CHECKPOINT --out DIR` makes one",
            path.display()
        );
    }
    Ok(Export::open(path)?)
}

/// Whether the folder is absent or has nothing in it but a lock, which a killed program leaves.
pub(crate) fn is_free(dir: &Path) -> Result<bool> {
    let ours = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() == lock::NAME)
    };
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.all(ours)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e).with_context(|| format!("cannot use {} as a folder", dir.display())),
    }
}

/// A text file that people or programs wrote for us, at most `most` bytes of it: a device or a pipe may have no end.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    let what = || format!("cannot read {}", path.display());
    let bytes = read_at_most(path, most).with_context(what)?;
    String::from_utf8(bytes)
        .map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            anyhow!("it is not UTF-8 from byte {at} on")
        })
        .with_context(what)
}

/// Writes a file whole: beside, then renamed. A link stays, and its end is written; a device or a pipe has nothing beside it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    if is_device(path) {
        let device = std::fs::OpenOptions::new().append(true).open(path);
        let written = device.and_then(|mut device| device.write_all(bytes));
        return written.with_context(what);
    }
    let whole = path.canonicalize();
    let path = match path.is_symlink() {
        true => whole.as_deref().unwrap_or(path),
        false => path,
    };
    let name = path
        .file_name()
        .with_context(|| format!("{} is not the name of a file", path.display()))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(".tmp");
    let beside = path.with_file_name(beside);
    std::fs::write(&beside, bytes).with_context(what)?;
    let renamed = std::fs::rename(&beside, path);
    if renamed.is_err() {
        // What could not take its place is nobody's.
        let _ = std::fs::remove_file(&beside);
    }
    renamed.with_context(what)
}
