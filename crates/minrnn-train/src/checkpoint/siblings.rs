//! The folders beside a checkpoint, and whether something else has one of their names.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{CheckpointProblem, Result, TrainError};

/// The folders beside a checkpoint `c` that a save of it goes through: `.c.tmp`, `.c.new`, `.c.old`.
pub(super) struct Siblings {
    pub(super) parent: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) new: PathBuf,
    pub(super) old: PathBuf,
}

impl Siblings {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(TrainError::config(
                "checkpoint",
                format!("{} is not the name of a folder", path.display()),
            ));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let beside = |ending: &str| {
            let mut sibling = OsString::from(".");
            sibling.push(name);
            sibling.push(ending);
            parent.join(sibling)
        };
        Ok(Self {
            tmp: beside(".tmp"),
            new: beside(".new"),
            old: beside(".old"),
            parent,
        })
    }

    /// Refuses what is neither absent nor a folder, of `path` itself and of all beside it. Links are not followed.
    pub(super) fn check_folders(&self, path: &Path) -> Result<()> {
        [path, &self.tmp, &self.new, &self.old]
            .into_iter()
            .try_for_each(check_folder)
    }
}

fn check_folder(path: &Path) -> Result<()> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(TrainError::io("find", path)(e)),
    };
    let what = match about.file_type() {
        kind if kind.is_dir() => return Ok(()),
        kind if kind.is_symlink() && path.exists() => "a link",
        kind if kind.is_symlink() => "a link that leads nowhere",
        kind if kind.is_file() => "a file",
        _ => "a device, a pipe or a socket",
    };
    Err(TrainError::checkpoint(
        path,
        CheckpointProblem::InTheWay { what },
    ))
}
