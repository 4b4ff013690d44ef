//! Folders and files that commands read and write.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
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
    is_free_but(dir, |_| false)
}

/// The same where other names may be there too, of what a killed program leaves.
pub(crate) fn is_free_but(dir: &Path, left: impl Fn(&OsStr) -> bool) -> Result<bool> {
    let ours = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() == lock::NAME || left(&entry.file_name()))
    };
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.all(ours)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
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

/// Writes a file whole: beside, under a name that nobody has, then renamed. A link stays, and its end is written; a device or a pipe has
/// nothing beside it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    if is_device(path) {
        let device = OpenOptions::new().append(true).open(path);
        let written = device.and_then(|mut device| device.write_all(bytes));
        return written.with_context(what);
    }
    let whole = path.canonicalize();
    let path = match path.is_symlink() {
        true => whole.as_deref().unwrap_or(path),
        false => path,
    };
    let (beside, mut file) = beside(path).with_context(what)?;
    let put = file
        .write_all(bytes)
        .and_then(|()| std::fs::rename(&beside, path));
    if put.is_err() {
        // What could not take its place is nobody's.
        let _ = std::fs::remove_file(&beside);
    }
    put.with_context(what)
}

/// So many names beside a file are tried: those that are taken are of other writers, of killed ones, or of somebody else.
const NAMES: u32 = 10_000;

/// A new file beside `path`, [`is_beside`] it. Whatever has the name already, a link above all, is left as it is.
fn beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| {
        std::io::Error::new(ErrorKind::InvalidInput, "it is not the name of a file")
    })?;
    for number in 0..NAMES {
        let mut beside = OsString::from(".");
        beside.push(name);
        if number > 0 {
            beside.push(format!(".{number}"));
        }
        beside.push(".tmp");
        let beside = path.with_file_name(beside);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside);
        match made {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (beside, file)),
        }
    }
    let message = format!(
        "there are {NAMES} files .{}.*.tmp beside it; remove them",
        name.display()
    );
    Err(std::io::Error::new(ErrorKind::AlreadyExists, message))
}

/// Whether [`write`] of the file `name` may have left a file of this name in its folder, when it was killed.
pub(crate) fn is_beside(name: &str, left: &OsStr) -> bool {
    let middle = left.to_str().and_then(|left| {
        left.strip_prefix('.')?
            .strip_prefix(name)?
            .strip_suffix(".tmp")
    });
    middle.is_some_and(|middle| {
        middle.is_empty()
            || middle.strip_prefix('.').is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_beside_a_file_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("victim"), "precious").unwrap();
        // Of a killed run; of somebody.
        std::fs::write(at(".e.json.1.tmp"), "half").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("victim"), at(".e.json.tmp")).unwrap();
        write(&at("e.json"), b"whole").unwrap();
        assert!(!at("e.json").is_symlink());
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        assert_eq!(read("e.json"), "whole");
        assert_eq!(read("victim"), "precious");
        assert_eq!(read(".e.json.1.tmp"), "half");
        // Nothing of its own is left.
        assert!(!at(".e.json.2.tmp").exists());
        #[cfg(unix)]
        assert!(at(".e.json.tmp").is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_one_that_is_made() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| dir.path().join(name));
        write(&ours, b"x").unwrap();
        std::fs::write(&plain, "x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn what_a_killed_writer_leaves_is_known_by_its_name() {
        let is = |left: &str| is_beside("metrics.jsonl", OsStr::new(left));
        assert!(is(".metrics.jsonl.tmp") && is(".metrics.jsonl.12.tmp"));
        for other in [
            "metrics.jsonl",
            ".metrics.jsonl",
            ".metrics.jsonl..tmp",
            ".metrics.jsonl.x.tmp",
            ".a.tmp",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
