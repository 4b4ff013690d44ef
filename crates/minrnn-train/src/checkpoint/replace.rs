//! Replacing a folder as a whole. For a checkpoint `c` the steps are:
//!
//! 1. write and sync all files in `.c.tmp` (never read by anybody);
//! 2. rename `.c.tmp` to `.c.new`: from here on the new checkpoint is complete;
//! 3. rename `c`, if there is one, to `.c.old`;
//! 4. rename `.c.new` to `c`;
//! 5. move files of others from `.c.old` to `c`, and remove it.
//!
//! After a crash `c` is the old or the new checkpoint, or it is absent between 3 and 4, and then `.c.new` is complete.
//! A file of others (`.DS_Store`, notes) is never removed and never in the way: it moves along from folder to folder.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::files::{ALL, CONFIG, MODEL};
use super::parts::File;
use super::siblings::Siblings;
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

/// Writes `files` as the folder `path`. `crash` is called at each [`Stage`]; an error from it stops right there.
pub(super) fn replace(
    path: &Path,
    files: &[File],
    crash: &mut dyn FnMut(Stage) -> Result<()>,
) -> Result<()> {
    let siblings = Siblings::of(path)?;
    check_replaceable(path)?;
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
    clear(&siblings.old, path)
}

/// Where the checkpoint is to be read: `path`, or the complete new folder if a crash came between two renames, or a writer
/// is between them now.
fn locate(path: &Path) -> Result<PathBuf> {
    let siblings = Siblings::of(path)?;
    for candidate in [path, &siblings.new] {
        if exists(candidate)? {
            return Ok(candidate.to_path_buf());
        }
    }
    Err(absent(path))
}

/// How often a reader looks again where the folder was replaced meanwhile.
const TRIES: u32 = 100;
/// Time for a writer to finish its renames.
const PAUSE: Duration = Duration::from_millis(2);

/// Whether there is a checkpoint at `path`, as readers find it.
pub(super) fn is_there(path: &Path) -> bool {
    (0..2).any(|_| place(path).is_ok())
}

/// What `read` makes of the checkpoint at `path`. Readers take no lock: where the folder was another one after the reading
/// than before, what was read (an error, or files of two checkpoints) does not count, and it is read once more.
pub(super) fn read_whole<T>(path: &Path, read: impl Fn(&Path) -> Result<T>) -> Result<T> {
    for attempt in 0..TRIES {
        let before = place(path);
        let result = before.as_ref().ok().map(|(folder, _)| read(folder));
        match (before, result, place(path)) {
            (Ok(before), Some(result), Ok(after)) if before == after => return result,
            // One look may fall between two renames that put the folder back.
            (Err(error), _, Err(_)) if attempt > 0 => return Err(error),
            _ => {}
        }
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
    }
    let message = "is replaced again and again while it is read; try again".to_owned();
    Err(TrainError::checkpoint(
        path,
        CheckpointProblem::Malformed { message },
    ))
}

/// The folder to read, and what tells it from one that takes its name later.
fn place(path: &Path) -> Result<(PathBuf, Identity)> {
    let folder = locate(path)?;
    let about = match fs::metadata(&folder) {
        Ok(about) => about,
        // It was renamed since `locate` saw it.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(absent(path)),
        Err(e) => return Err(TrainError::io("find", &folder)(e)),
    };
    Ok((folder, Identity::of(&about)))
}

fn absent(path: &Path) -> TrainError {
    TrainError::checkpoint(
        path,
        CheckpointProblem::MissingFile {
            file: CONFIG.to_owned(),
        },
    )
}

/// A folder, whatever it is called. Its number alone may be given again once it is removed.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    modified: Option<SystemTime>,
    #[cfg(unix)]
    number: (u64, u64),
}

impl Identity {
    fn of(about: &fs::Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            modified: about.modified().ok(),
            #[cfg(unix)]
            number: (about.dev(), about.ino()),
        }
    }
}

/// Finishes or clears away what a crash left.
fn recover(path: &Path, siblings: &Siblings) -> Result<()> {
    for leftover in [&siblings.new, &siblings.old] {
        if !exists(path)? && exists(leftover)? {
            rename(leftover, path, &siblings.parent)?;
        }
    }
    [&siblings.tmp, &siblings.new, &siblings.old]
        .into_iter()
        .try_for_each(|leftover| clear(leftover, path))
}

/// Whether [`replace`] would find nothing in its way: each of its folders is absent or a folder, and `path` is nobody else's.
/// A link is in the way as well: a folder that takes its name would be another one than that to which it leads.
pub(super) fn check_replaceable(path: &Path) -> Result<()> {
    let siblings = Siblings::of(path)?;
    siblings.check_folders(path)?;
    refuse_foreign(path)
}

/// A folder with other files that is no checkpoint is somebody's work, not ours to replace.
fn refuse_foreign(path: &Path) -> Result<()> {
    if !exists(path)? || (exists(&path.join(CONFIG))? && exists(&path.join(MODEL))?) {
        return Ok(());
    }
    match foreign(path)?.into_iter().next() {
        Some(file) => Err(foreign_file(path, &file)),
        None => Ok(()),
    }
}

fn foreign_file(path: &Path, file: &OsStr) -> TrainError {
    let file = file.to_string_lossy().into_owned();
    TrainError::checkpoint(path, CheckpointProblem::ForeignFile { file })
}

/// What no checkpoint has, in order of name. A folder with the name of one of its files is nothing of ours.
fn foreign(folder: &Path) -> Result<Vec<OsString>> {
    let failed = || TrainError::io("list", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        let known = ALL.iter().any(|own| name == OsStr::new(own));
        if !known || entry.file_type().map_err(failed())?.is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a folder of ours; what others put into it goes on into the checkpoint `into`.
fn clear(folder: &Path, into: &Path) -> Result<()> {
    if !exists(folder)? {
        return Ok(());
    }
    for name in foreign(folder)? {
        if !exists(into)? {
            return Err(foreign_file(folder, &name));
        }
        let from = folder.join(&name);
        fs::rename(&from, free_name(into, &name)).map_err(TrainError::io("move", &from))?;
    }
    remove(folder)
}

/// The name itself, or with the first number that makes it a new one: nothing is overwritten.
fn free_name(folder: &Path, name: &OsStr) -> PathBuf {
    let mut path = folder.join(name);
    let mut number = 0_u64;
    while fs::symlink_metadata(&path).is_ok() {
        number += 1;
        let mut other = name.to_os_string();
        other.push(format!(".{number}"));
        path = folder.join(other);
    }
    path
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
