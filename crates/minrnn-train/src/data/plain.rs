//! A plain file of which pieces are read, and which must stay as it is meanwhile.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::{Result, TrainError};

/// The file, open.
#[derive(Debug)]
pub(crate) struct Plain {
    path: PathBuf,
    file: Mutex<File>,
    /// What the file was when it was opened.
    stamp: Stamp,
    /// The most bytes that were read at once.
    #[cfg(test)]
    pub(crate) most: std::sync::atomic::AtomicUsize,
}

/// What tells a file from what it was: size, time of the last change, and on Unix which file it is. An edit that puts the time back is
/// not seen.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: Option<SystemTime>,
    file: Option<[u64; 2]>,
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            Some([about.dev(), about.ino()])
        };
        #[cfg(not(unix))]
        let file = None;
        Self {
            size: about.len(),
            changed: about.modified().ok(),
            file,
        }
    }
}

impl Plain {
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Data`] for what is no plain file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(TrainError::io("read", path))?;
        let about = file.metadata().map_err(TrainError::io("read", path))?;
        if !about.is_file() {
            let message =
                "is no plain file, of which pieces could be read; leave task.from_disk out";
            return Err(TrainError::data(path, "", message));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file: Mutex::new(file),
            stamp: Stamp::of(&about),
            #[cfg(test)]
            most: 0.into(),
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.stamp.size
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Data`] for a file that was changed since it was opened, or ends before.
    pub(crate) fn bytes(&self, from: u64, to: u64) -> Result<Vec<u8>> {
        let io = || TrainError::io("read", &self.path);
        let mut bytes = vec![0; (to - from) as usize];
        #[cfg(test)]
        (self.most).fetch_max(bytes.len(), std::sync::atomic::Ordering::Relaxed);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let about = file.metadata().map_err(io())?;
        let there = std::fs::metadata(&self.path).map_err(io())?;
        if [about, there].iter().any(|a| Stamp::of(a) != self.stamp) {
            return Err(self.changed());
        }
        file.seek(SeekFrom::Start(from)).map_err(io())?;
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.changed()),
            Err(e) => Err(io()(e)),
        }
    }

    /// What is told where the file is no longer what it was.
    pub(crate) fn changed(&self) -> TrainError {
        let message = "was changed while it was in use; a file that is read from disk must stay as it is as long as the run";
        TrainError::data(&self.path, "", message)
    }
}
