//! One export at a time into a folder, and the mark of a folder whose export is not finished.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use minrnn_model::vocabulary::TOKENIZER;
use tempfile::TempDir;

use super::{ExportError, Form};

/// In a folder while an export is written into it, locked; left there by one that was killed. An empty file: anything else of
/// that name is somebody's.
const MARK: &str = ".minrnn-export.lock";
/// Folders in which an export is made before it is moved into place; six letters and digits follow.
const STAGING: &str = ".minrnn-export-";
/// Says what belongs to the export: without it there is none.
pub(super) const MANIFEST: &str = "manifest.json";

/// Whether an export is being written into the folder, or was killed while it was: it has the mark of one, and no manifest.
pub fn is_unfinished(dir: &Path) -> bool {
    is_mark(&dir.join(MARK)) == Some(true) && !dir.join(MANIFEST).exists()
}

/// Whether what has the name is a mark; none where nothing has it. Links are not followed: what they lead to is somebody's.
fn is_mark(path: &Path) -> Option<bool> {
    let about = fs::symlink_metadata(path).ok()?;
    Some(about.is_file() && about.len() == 0)
}

/// A folder that this export alone writes into. The system gives the lock back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    dir: PathBuf,
    mark: PathBuf,
    /// Holds the lock.
    file: File,
    /// Whether the folder was made for this export.
    made: bool,
    /// Whether the files are no export until the manifest is there.
    pub(super) half: bool,
}

impl Lock {
    /// Makes the folder if it is not there, and takes its lock; what killed exports left in it or beside it goes. What is no mark
    /// is neither written to nor removed.
    pub(super) fn take(dir: &Path) -> Result<Self, ExportError> {
        let made = !dir.exists();
        let mark = dir.join(MARK);
        let half = is_unfinished(dir);
        let file = loop {
            fs::create_dir_all(dir).map_err(ExportError::io("create", dir))?;
            let file = match open(&mark) {
                // Another export removed its mark meanwhile, or failed and took the folder away that it had made.
                Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                    match is_mark(&mark) {
                        Some(false) => return Err(ExportError::NotOurs { path: mark }),
                        _ => continue,
                    }
                }
                file => file.map_err(ExportError::io("create", &mark))?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(ExportError::Busy { dir: dir.into() });
                }
                // Some network file systems have no locks: there, nobody can be told apart.
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(ExportError::io("lock", &mark)(e)),
            }
            // The export before this one may have removed the file between our opening and locking it.
            if is_at(&file, &mark) {
                break file;
            }
        };
        remove_staging(dir);
        remove_beside(dir);
        Ok(Self {
            dir: dir.to_path_buf(),
            mark,
            file,
            made,
            half,
        })
    }

    /// A folder to make the files in: on the same file system, and gone when it is dropped.
    pub(super) fn staging(&self) -> Result<TempDir, ExportError> {
        let made = tempfile::Builder::new()
            .prefix(STAGING)
            .tempdir_in(&self.dir);
        made.map_err(ExportError::io("create a temporary folder in", &self.dir))
    }
}

impl Drop for Lock {
    /// The mark stays where files of two exports may be mixed.
    fn drop(&mut self) {
        let done = !self.half || self.dir.join(MANIFEST).exists();
        // What somebody put in its place is his.
        if done && is_at(&self.file, &self.mark) && is_mark(&self.mark) == Some(true) {
            let _ = fs::remove_file(&self.mark);
        }
        // Only where there is nothing in it.
        if self.made {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// A new mark, or the one that is there; `AlreadyExists`: what is there is none. Nothing is made at the end of a link.
fn open(mark: &Path) -> std::io::Result<File> {
    match OpenOptions::new().append(true).create_new(true).open(mark) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && is_mark(mark) == Some(true) => {
            OpenOptions::new().append(true).open(mark)
        }
        file => file,
    }
}

/// Whether the open file is the one that has the name. A link in its place is not.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |m: fs::Metadata| (m.dev(), m.ino());
    let open = file.metadata().map(identity);
    open.is_ok_and(|open| {
        fs::symlink_metadata(path)
            .map(identity)
            .is_ok_and(|now| now == open)
    })
}

/// Elsewhere the name of an open file is not free for another.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Temporary folders of exports that were killed; whoever calls holds the folder's lock. What cannot be removed does no harm.
fn remove_staging(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let random = name.to_str().and_then(|n| n.strip_prefix(STAGING));
        let named =
            random.is_some_and(|r| r.len() == 6 && r.bytes().all(|b| b.is_ascii_alphanumeric()));
        let folder = entry.file_type().is_ok_and(|t| t.is_dir());
        if named && folder && is_staging(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a folder has files of an export alone: one with anything else is somebody's.
fn is_staging(dir: &Path) -> bool {
    let of = |form: Form| {
        let name = form.name();
        [format!("model.{name}.onnx"), format!("model.{name}.data")]
    };
    let mut known: Vec<String> = Form::ALL.into_iter().flat_map(of).collect();
    let others = [
        "model.data",
        "golden.safetensors",
        "README.md",
        TOKENIZER,
        MANIFEST,
    ];
    known.extend(others.map(String::from));
    let Ok(mut entries) = fs::read_dir(dir) else {
        return false;
    };
    entries.all(|entry| {
        entry.is_ok_and(|e| {
            let name = e.file_name();
            known.iter().any(|k| name == k.as_str()) && e.file_type().is_ok_and(|t| t.is_file())
        })
    })
}

/// Older versions had theirs beside the export. If the folder around is an export of its own, its lock says whether they are in use.
fn remove_beside(dir: &Path) {
    let parent = match dir.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    let mark = parent.join(MARK);
    if is_mark(&mark) == Some(true) {
        let file = File::open(&mark);
        if file.is_ok_and(|f| f.try_lock().is_err() && is_at(&f, &mark)) {
            return;
        }
    }
    remove_staging(parent);
}
