//! Replacing a folder as a whole. For a checkpoint `c` the steps are:
//!
//! 1. write and sync all files in `.c.tmp` (never read by anybody);
//! 2. rename `.c.tmp` to `.c.new`: from here on the new checkpoint is complete;
//! 3. rename `c`, if there is one, to `.c.old`;
//! 4. rename `.c.new` to `c`;
//! 5. remove `.c.old`.
//!
//! After a crash `c` is the old or the new checkpoint, or it is absent between 3 and 4, and then `.c.new` is complete.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::files::{ALL, CONFIG, File};
use crate::error::{CheckpointProblem, Result, TrainError};

/// A moment at which a crash is simulated by tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The folder for writing is there, `n` files are written, and the next is written by half.
    Writing(usize),
    /// All files are synced.
    Written,
    /// The new folder has its name.
    Complete,
    /// The old folder is moved aside.
    OldAside,
    /// The new folder is in place.
    InPlace,
}

/// The folders beside a checkpoint.
struct Siblings {
    parent: PathBuf,
    tmp: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Siblings {
    fn of(path: &Path) -> Result<Self> {
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
            let mut sibling = std::ffi::OsString::from(".");
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
}

/// Writes `files` as the folder `path`. `crash` is called at each [`Stage`]; an error from it stops right there.
pub(super) fn replace(
    path: &Path,
    files: &[File],
    crash: &mut dyn FnMut(Stage) -> Result<()>,
) -> Result<()> {
    let siblings = Siblings::of(path)?;
    refuse_foreign(path)?;
    fs::create_dir_all(&siblings.parent).map_err(TrainError::io("create", &siblings.parent))?;
    recover(path, &siblings)?;
    write_all(&siblings.tmp, files, crash)?;
    crash(Stage::Written)?;
    rename(&siblings.tmp, &siblings.new, &siblings.parent)?;
    crash(Stage::Complete)?;
    if exists(path)? {
        rename(path, &siblings.old, &siblings.parent)?;
    }
    crash(Stage::OldAside)?;
    rename(&siblings.new, path, &siblings.parent)?;
    crash(Stage::InPlace)?;
    remove(&siblings.old)
}

/// Where the checkpoint is to be read: `path`, or the complete new folder if a crash came between two renames.
pub(super) fn locate(path: &Path) -> Result<PathBuf> {
    let siblings = Siblings::of(path)?;
    for candidate in [path, &siblings.new] {
        if exists(candidate)? {
            return Ok(candidate.to_path_buf());
        }
    }
    Err(TrainError::checkpoint(
        path,
        CheckpointProblem::MissingFile {
            file: CONFIG.to_owned(),
        },
    ))
}

/// Finishes or clears away what a crash left.
fn recover(path: &Path, siblings: &Siblings) -> Result<()> {
    if !exists(path)? && exists(&siblings.new)? {
        rename(&siblings.new, path, &siblings.parent)?;
    }
    [&siblings.tmp, &siblings.new, &siblings.old]
        .into_iter()
        .try_for_each(|leftover| remove(leftover))
}

/// A folder with other files is somebody's work, not ours to replace.
fn refuse_foreign(path: &Path) -> Result<()> {
    if !exists(path)? {
        return Ok(());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(TrainError::io("list", path))? {
        let entry = entry.map_err(TrainError::io("list", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    match names.into_iter().find(|name| !ALL.contains(&name.as_str())) {
        Some(file) => Err(TrainError::checkpoint(
            path,
            CheckpointProblem::ForeignFile { file },
        )),
        None => Ok(()),
    }
}

fn write_all(
    folder: &Path,
    files: &[File],
    crash: &mut dyn FnMut(Stage) -> Result<()>,
) -> Result<()> {
    fs::create_dir(folder).map_err(TrainError::io("create", folder))?;
    for (i, (name, bytes)) in files.iter().enumerate() {
        let path = folder.join(name);
        let failed = || TrainError::io("write", &path);
        let mut file = fs::File::create(&path).map_err(failed())?;
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(first).map_err(failed())?;
        crash(Stage::Writing(i))?;
        file.write_all(rest).map_err(failed())?;
        file.sync_all().map_err(failed())?;
    }
    sync_folder(folder)
}

fn rename(from: &Path, to: &Path, parent: &Path) -> Result<()> {
    fs::rename(from, to).map_err(TrainError::io("rename", from))?;
    sync_folder(parent)
}

/// A rename lasts only once the folder that holds the names is synced. Other systems than Unix do not open folders.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let file = fs::File::open(folder).map_err(TrainError::io("open", folder))?;
        file.sync_all().map_err(TrainError::io("sync", folder))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("remove", folder)(e))
        }
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(TrainError::io("find", path))
}
