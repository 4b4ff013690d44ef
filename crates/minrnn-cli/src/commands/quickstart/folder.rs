//! The folder of a quickstart: replaced if it is one, never if it is somebody's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;
use crate::lock::{self, Lock};
use crate::ui::Ui;

/// What makes a folder a quickstart's.
pub(super) const CONFIG: &str = "quickstart.toml";
const RUN: &str = "run";
const EXPORT: &str = "export";
const REPORT: &str = "verify.md";
const PICTURE: &str = "verify.svg";
const JSON: &str = "verify.json";
const PAGE: &str = crate::commands::report::NAME;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// An empty folder with the configuration in it.
    pub(super) fn make(dir: &Path, config: &str, ui: &Ui) -> Result<Self> {
        if !files::is_free(dir)? {
            check_own(dir)?;
        }
        let lock = Lock::inside(dir, ui)?;
        if !files::is_free(dir)? {
            empty(dir)?;
        }
        files::write(&dir.join(CONFIG), config.as_bytes())?;
        Ok(Self {
            dir: dir.to_path_buf(),
            _lock: lock,
        })
    }

    pub(super) fn run(&self) -> PathBuf {
        self.dir.join(RUN)
    }
    pub(super) fn export(&self) -> PathBuf {
        self.dir.join(EXPORT)
    }
    pub(super) fn report(&self) -> PathBuf {
        self.dir.join(REPORT)
    }
    pub(super) fn json(&self) -> PathBuf {
        self.dir.join(JSON)
    }
    pub(super) fn page(&self) -> PathBuf {
        self.dir.join(PAGE)
    }
}

/// What a quickstart makes.
const KNOWN: [&str; 7] = [RUN, EXPORT, REPORT, PICTURE, JSON, PAGE, CONFIG];

fn check_own(dir: &Path) -> Result<()> {
    if !dir.join(CONFIG).is_file() {
        bail!(
            "{} is not empty and no quickstart made it; choose another folder with --out",
            dir.display()
        );
    }
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let name = entry
            .with_context(|| format!("cannot read {}", dir.display()))?
            .file_name();
        if !KNOWN.iter().any(|k| name == *k) && name != lock::NAME {
            bail!(
                "{} holds {:?}, which is not of a quickstart; move it, or choose another folder with --out",
                dir.display(),
                name
            );
        }
    }
    Ok(())
}

/// Removes what an earlier quickstart made, its configuration last: until then the folder is known to be one.
fn empty(dir: &Path) -> Result<()> {
    check_own(dir)?;
    for name in KNOWN {
        let path = dir.join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::verify::written;

    fn make(dir: &Path, config: &str) -> Result<Folder> {
        Folder::make(dir, config, &Ui::new(true))
    }

    #[test]
    fn only_its_own_folder_is_emptied() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("q");
        let folder = make(&dir, "a").unwrap();
        fs::create_dir_all(folder.run().join("best")).unwrap();
        let picture = written::picture_of(&folder.report()).unwrap();
        for file in [folder.report(), picture, folder.json(), folder.page()] {
            fs::write(file, "x").unwrap();
        }
        let error = make(&dir, "b").unwrap_err().to_string();
        assert!(error.contains("is writing to"), "{error}");
        assert!(folder.report().exists(), "one that goes on is not emptied");
        let (run, report, config) = (folder.run(), folder.report(), dir.join(CONFIG));
        drop(folder);
        make(&dir, "b").unwrap();
        assert!(!run.exists() && !report.exists());
        assert_eq!(fs::read_to_string(&config).unwrap(), "b");
        fs::write(dir.join("thesis.txt"), "years").unwrap();
        assert!(
            make(&dir, "c")
                .unwrap_err()
                .to_string()
                .contains("thesis.txt")
        );
        assert_eq!(fs::read_to_string(&config).unwrap(), "b");
        let other = temp.path().join("other");
        fs::create_dir_all(other.join("export")).unwrap();
        assert!(
            make(&other, "c")
                .unwrap_err()
                .to_string()
                .contains("no quickstart made it")
        );
        assert!(other.join("export").exists());
        fs::write(temp.path().join("file"), "x").unwrap();
        assert!(make(&temp.path().join("file"), "c").is_err());
    }
}
