//! One writer to a folder: a lock of the operating system, which is gone with the process that has it. Readers take none.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::ui::Ui;

/// The file in a folder that is locked.
pub(crate) const NAME: &str = ".minrnn.lock";

/// The right to write to a folder, as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: Option<File>,
    /// Whether the file system has locks.
    locked: bool,
    /// Folders that were made for this lock, the innermost first.
    made: Vec<PathBuf>,
}

impl Lock {
    /// Locks the folder `dir` by a file in it; makes the folder where there is none, and takes it away again at the end if
    /// nothing else came into it.
    pub(crate) fn inside(dir: &Path, ui: &Ui) -> Result<Self> {
        let around = dir.ancestors().filter(|a| !a.as_os_str().is_empty());
        let missing = around.take_while(|a| !a.exists());
        let made = missing.map(Path::to_path_buf).collect();
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Self::take(dir, dir.join(NAME), made, ui)
    }

    /// Locks a folder that is replaced as a whole, by a file beside it.
    pub(crate) fn beside(dir: &Path, ui: &Ui) -> Result<Self> {
        let name = dir
            .file_name()
            .with_context(|| format!("{} is not the name of a folder", dir.display()))?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(".lock");
        let path = dir.with_file_name(beside);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        Self::take(dir, path, vec![], ui)
    }

    fn take(dir: &Path, path: PathBuf, made: Vec<PathBuf>, ui: &Ui) -> Result<Self> {
        let failed = || format!("cannot lock {}", path.display());
        loop {
            check_own(&path)?;
            let file = match open(&path) {
                // Something came or went meanwhile: it is looked at next.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                file => file.with_context(failed)?,
            };
            let locked = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => bail!("{}", taken(dir, file)),
                Err(TryLockError::Error(e)) => {
                    ui.note(&format!(
                        "note: the file system of {} has no locks ({e}); let nothing else write to it meanwhile",
                        dir.display()
                    ));
                    false
                }
            };
            // The one before removed its file between our opening and our locking of it, or somebody put a link in its place.
            if !is_at(&file, &path) {
                continue;
            }
            if locked {
                sign(&file);
            }
            let file = Some(file);
            return Ok(Self {
                path,
                file,
                locked,
                made,
            });
        }
    }
}

/// Whether somebody has the lock of [`Lock::inside`] now. A file system without locks tells nothing.
pub(crate) fn is_held(dir: &Path) -> bool {
    let file = File::open(dir.join(NAME));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for Lock {
    /// The file goes while the lock is still held, so that nobody loses one of his own. What cannot be removed does no harm.
    fn drop(&mut self) {
        let ours = self.file.as_ref().is_some_and(|f| is_at(f, &self.path));
        if ours && (cfg!(unix) || !self.locked) {
            let _ = fs::remove_file(&self.path);
        }
        self.file = None;
        for dir in &self.made {
            // One with something in it stays.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// The file that is there, or a new one. Nothing is made at the end of a link.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => options.create_new(true).open(path),
        file => file,
    }
}

/// A link, a folder, or a file that no lock has written is somebody's, not ours to write to and to remove.
fn check_own(path: &Path) -> Result<()> {
    let Ok(about) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let number = |text: String| text.trim().is_empty() || text.trim().parse::<u32>().is_ok();
    // Some systems let nobody read a locked file: that is one.
    let ours =
        about.is_file() && about.len() <= 16 && fs::read_to_string(path).map_or(true, number);
    if !ours {
        bail!(
            "{} is in the place of the lock and is not one; move it away, or choose another folder with --out",
            path.display()
        );
    }
    Ok(())
}

/// For the message of those who come too late.
fn sign(mut file: &File) {
    let signed = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    // A lock without a name is a lock.
    let _ = signed;
}

fn taken(dir: &Path, file: File) -> String {
    let mut text = String::new();
    // Some systems let nobody else read a locked file.
    let _ = file.take(16).read_to_string(&mut text);
    let who = match text.trim().parse::<u32>() {
        Ok(id) => format!("process {id} of minrnn"),
        Err(_) => "another minrnn".to_owned(),
    };
    let dir = dir.display();
    format!("{who} is writing to {dir}; wait until it ends, or choose another folder with --out")
}

/// Whether the open file is the one that has the name. What a link leads to has not.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |about: io::Result<fs::Metadata>| about.map(|a| (a.dev(), a.ino())).ok();
    number(file.metadata()) == number(fs::symlink_metadata(path))
}

/// A file that is open keeps its name on other systems.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let ui = Ui::new(true);
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/run");
        let first = Lock::inside(&dir, &ui).unwrap();
        assert!(files::is_free(&dir).unwrap(), "a lock is no content");
        assert!(is_held(&dir));
        let error = Lock::inside(&dir, &ui).unwrap_err().to_string();
        let me = std::process::id();
        assert!(
            error.contains(&format!("process {me} of minrnn is writing to")),
            "{error}"
        );
        drop(first);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
        fs::create_dir_all(&dir).unwrap();
        drop(Lock::inside(&dir, &ui).unwrap());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        // What a killed program leaves.
        fs::write(dir.join(NAME), "1\n").unwrap();
        assert!(files::is_free(&dir).unwrap() && !is_held(&dir));
        let again = Lock::inside(&dir, &ui).unwrap();
        let beside = Lock::beside(&dir, &ui).unwrap();
        assert!(Lock::beside(&dir, &ui).is_err());
        drop((again, beside));
        assert_eq!(fs::read_dir(temp.path().join("a")).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_no_lock_has_written_is_left_as_it_is() {
        let ui = Ui::new(true);
        let temp = tempfile::tempdir().unwrap();
        let (mark, precious) = (temp.path().join(NAME), temp.path().join("precious"));
        fs::write(&precious, "1\n").unwrap();
        std::os::unix::fs::symlink(&precious, &mark).unwrap();
        assert!(Lock::inside(temp.path(), &ui).is_err());
        fs::remove_file(&mark).unwrap();
        fs::write(&mark, "notes").unwrap();
        let error = Lock::inside(temp.path(), &ui).unwrap_err().to_string();
        assert!(error.contains("in the place of the lock"), "{error}");
        assert_eq!(fs::read_to_string(&mark).unwrap(), "notes");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "1\n");
        // A link to nothing makes nothing.
        fs::remove_file(&mark).unwrap();
        std::os::unix::fs::symlink(temp.path().join("new"), &mark).unwrap();
        assert!(Lock::inside(temp.path(), &ui).is_err());
        assert!(!temp.path().join("new").exists());
    }

    /// What comes into the place of the lock's file while it is looked at.
    #[cfg(unix)]
    #[test]
    fn a_link_to_the_open_file_is_not_the_lock() {
        let ui = Ui::new(true);
        let temp = tempfile::tempdir().unwrap();
        let (mark, precious) = (temp.path().join(NAME), temp.path().join("precious"));
        fs::write(&precious, "1\n").unwrap();
        std::os::unix::fs::symlink(&precious, &mark).unwrap();
        let file = open(&mark).unwrap();
        assert!(!is_at(&file, &mark));
        assert!(is_at(&file, &precious));
        // Exchanged while it is held: what is there now stays.
        fs::remove_file(&mark).unwrap();
        let lock = Lock::inside(temp.path(), &ui).unwrap();
        fs::remove_file(&mark).unwrap();
        fs::write(&mark, "notes").unwrap();
        drop(lock);
        assert_eq!(fs::read_to_string(&mark).unwrap(), "notes");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "1\n");
    }

    #[test]
    fn many_in_turn_never_hold_it_together() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let temp = tempfile::tempdir().unwrap();
        let (held, got) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let ui = Ui::new(true);
                    for _ in 0..300 {
                        if let Ok(lock) = Lock::inside(temp.path(), &ui) {
                            assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0);
                            got.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            held.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(got.into_inner() > 0);
    }
}
