//! What is in the folder of a run before a training begins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_train::checkpoint::Checkpoint;

use crate::files;
use crate::lock;
use crate::metrics::is_log;

/// What a folder is to a training.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// Absent or empty.
    Free,
    /// A run that ended before its first checkpoint: nothing is lost if it begins anew.
    Begun,
    /// A run with its newest checkpoint.
    Run(PathBuf),
    /// Somebody else's.
    Foreign,
}

impl Folder {
    pub(super) fn of(dir: &Path) -> Result<Self> {
        if files::is_free(dir)? {
            return Ok(Self::Free);
        }
        // `best` alone is left by a crash between the two.
        for name in [files::LAST, files::BEST] {
            let path = dir.join(name);
            if Checkpoint::is_there(&path) {
                return Ok(Self::Run(path));
            }
        }
        match begun(dir)? {
            true => Ok(Self::Begun),
            false => Ok(Self::Foreign),
        }
    }

    /// Whether a new run may begin in `dir`.
    pub(super) fn check_new(&self, dir: &Path) -> Result<()> {
        match self {
            Self::Free | Self::Begun => Ok(()),
            Self::Run(_) => bail!(
                "{} holds a run already; go on with --resume, or choose another folder with --out",
                dir.display()
            ),
            Self::Foreign => bail!(
                "{} is not empty and no run of minrnn; choose another folder with --out",
                dir.display()
            ),
        }
    }
}

/// Whether a run left its log, or what it was writing, and no checkpoint. Files of others beside them stay.
fn begun(dir: &Path) -> Result<bool> {
    let log = dir.join(files::METRICS);
    if log.is_file() {
        return is_log(&log);
    }
    let what = || format!("cannot list {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(what)? {
        let name = entry.with_context(what)?.file_name();
        if !files::is_beside(files::METRICS, &name) && !LEFT.iter().any(|left| name == *left) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a crash leaves of a run that has neither a log nor a checkpoint, beside what it was writing of the log.
const LEFT: [&str; 3] = [".last.tmp", ".best.tmp", lock::NAME];

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[(&str, &str)]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in names {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Folder::of(dir.path()).unwrap()
    }

    #[test]
    fn a_log_alone_is_a_run_that_may_begin_anew() {
        let line = "{\"event\":\"step\",\"step\":0}\n";
        assert_eq!(folder(&[]), Folder::Free);
        assert_eq!(folder(&[("metrics.jsonl", "")]), Folder::Begun);
        assert_eq!(
            folder(&[("metrics.jsonl", line), ("notes.txt", "")]),
            Folder::Begun
        );
        let cut = format!("{line}{{\"event\":\"st");
        assert_eq!(folder(&[("metrics.jsonl", &cut)]), Folder::Begun);
        assert_eq!(folder(&[(".metrics.jsonl.tmp", "")]), Folder::Begun);
        assert_eq!(folder(&[(".metrics.jsonl.3.tmp", "")]), Folder::Begun);
        // The log of another program is somebody's.
        assert_eq!(
            folder(&[("metrics.jsonl", "{\"loss\":1}\n")]),
            Folder::Foreign
        );
        assert_eq!(folder(&[("notes.txt", "")]), Folder::Foreign);
        assert_eq!(
            folder(&[(".metrics.jsonl.tmp", ""), ("notes.txt", "")]),
            Folder::Foreign
        );
    }
}
