//! What a path leads to: two paths may be one file.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// Links that are followed by hand; more are a circle.
const LINKS: usize = 40;

/// Where a path leads, whether something is there or not.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    about: Option<Metadata>,
    device: bool,
}

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: resolved(path),
            about: fs::metadata(path).ok(),
            device: is_device(path),
        }
    }

    /// Whether both are one file. Devices and pipes take any number of outputs.
    pub(super) fn same(&self, other: &Self) -> bool {
        if self.device || other.device {
            return false;
        }
        let linked = match (&self.about, &other.about) {
            (Some(a), Some(b)) => number(a).is_some() && number(a) == number(b),
            _ => false,
        };
        linked || self.path == other.path
    }

    /// Whether it lies in a folder, at any depth.
    pub(super) fn is_below(&self, folder: &Self) -> bool {
        self.path != folder.path && self.path.starts_with(&folder.path)
    }

    /// Whether it lies in a folder, at its first level.
    pub(super) fn is_in(&self, folder: &Self) -> bool {
        self.path.parent() == Some(&folder.path)
    }

    pub(super) fn is_folder(&self) -> bool {
        self.about.as_ref().is_some_and(Metadata::is_dir)
    }

    /// Whether there is something already.
    pub(super) fn is_there(&self) -> bool {
        self.about.is_some() && !self.device
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a path leads to something that is no file and no folder: the null device, a terminal, a pipe; also stdout by its name,
/// wherever that goes.
pub(crate) fn is_device(path: &Path) -> bool {
    let open = path.parent() == Some(Path::new("/dev")) || path.starts_with("/dev/fd");
    if cfg!(unix) && (open || path.starts_with("/proc")) && !path.is_dir() {
        return true;
    }
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

/// Without links and `..`; what is not there is added to the last folder that is.
fn resolved(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for _ in 0..LINKS {
        if let Ok(whole) = path.canonicalize() {
            return whole;
        }
        // A link to nothing: a file that is written through it would be there.
        let Ok(to) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().map_or(to.clone(), |parent| parent.join(&to));
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path,
    }
}

/// What hard links to one file have in common.
#[cfg(unix)]
fn number(about: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> Option<(u64, u64)> {
    None
}
