//! The folder of an experiment: what is done so far, and what it is of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::outcome::{Done, Outcome, Times};
use crate::files;

pub(super) const RESULTS: &str = "results.json";
const TIMES: &str = "times.json";
/// No such file is longer, bytes.
const MOST: u64 = super::parcel::MOST as u64;

/// What a folder's results are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) experiment: String,
    /// Of the program.
    pub(super) version: String,
    /// sha256 of the experiment's file.
    pub(super) configuration: String,
    pub(super) small: bool,
    /// sha256 of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Results {
    schema: String,
    of: Identity,
    runs: Vec<Outcome>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllTimes {
    schema: String,
    runs: Vec<Times>,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    of: Identity,
    pub(super) done: Vec<Done>,
}

impl Folder {
    /// Reads what is done, or begins.
    ///
    /// # Errors
    /// A folder of somebody else, of another experiment, version or configuration, by name.
    pub(super) fn open(dir: &Path, of: Identity) -> Result<Self> {
        let path = dir.join(RESULTS);
        if !path.exists() {
            if !files::is_free(dir)? && !has_times_alone(dir)? {
                bail!(
                    "{} is not empty and no repro of minrnn; choose another folder with --out",
                    dir.display()
                );
            }
            let folder = Self {
                dir: dir.to_path_buf(),
                of,
                done: vec![],
            };
            folder.write()?;
            return Ok(folder);
        }
        let results: Results = read(&path)?;
        differs(&results.of, &of).map_or(Ok(()), |what| {
            Err(anyhow::anyhow!(
                "{} has results of {what}; choose another folder with --out",
                dir.display()
            ))
        })?;
        let times: AllTimes = match dir.join(TIMES).exists() {
            true => read(&dir.join(TIMES))?,
            false => AllTimes::of(vec![]),
        };
        let mut of_run: BTreeMap<(String, String), Times> = BTreeMap::new();
        for times in times.runs {
            of_run.insert((times.row.clone(), times.case.clone()), times);
        }
        let done = |outcome: Outcome| {
            let key = (outcome.row.clone(), outcome.case.clone());
            let empty = Done::new(&outcome.row, &outcome.case, &outcome.device).times;
            Done {
                times: of_run.remove(&key).unwrap_or(Times {
                    finished: 0,
                    ..empty
                }),
                outcome,
            }
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            of,
            done: results.runs.into_iter().map(done).collect(),
        })
    }

    pub(super) fn of(&self) -> &Identity {
        &self.of
    }

    pub(super) fn has(&self, row: &str, case: &str) -> bool {
        self.done.iter().any(|d| d.is_of(row, case))
    }

    /// Takes a run in, and writes what is known.
    pub(super) fn add(&mut self, done: Done) -> Result<()> {
        self.done.push(done);
        self.write()
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot create {}", self.dir.display()))?;
        let times = self.done.iter().map(|d| d.times.clone()).collect();
        write(&self.dir.join(TIMES), &AllTimes::of(times))?;
        let results = Results {
            schema: "minrnn.repro/1".into(),
            of: self.of.clone(),
            runs: self.done.iter().map(|d| d.outcome.clone()).collect(),
        };
        // Last: a run without its times is known, times without a run are not.
        write(&self.dir.join(RESULTS), &results)
    }
}

impl AllTimes {
    fn of(runs: Vec<Times>) -> Self {
        Self {
            schema: "minrnn.repro.times/1".into(),
            runs,
        }
    }
}

/// Whether there is nothing but the times of runs, of which the results are lost, or were not yet written when the program was stopped.
fn has_times_alone(dir: &Path) -> Result<bool> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let name = entry?.file_name();
        if name != TIMES && name != crate::lock::NAME {
            return Ok(false);
        }
    }
    if !dir.join(TIMES).is_file() {
        return Ok(false);
    }
    let times: AllTimes = read(&dir.join(TIMES))?;
    Ok(times.schema == AllTimes::of(vec![]).schema)
}

/// What the results of a folder are of that is not what is asked for.
fn differs(there: &Identity, asked: &Identity) -> Option<String> {
    let size = |small| {
        if small {
            "the small version"
        } else {
            "the whole version"
        }
    };
    if there.experiment != asked.experiment {
        return Some(format!(
            "the experiment {}, and {} is asked for",
            there.experiment, asked.experiment
        ));
    }
    if there.small != asked.small {
        return Some(format!(
            "{}, and {} is asked for",
            size(there.small),
            size(asked.small)
        ));
    }
    if there.version != asked.version {
        return Some(format!(
            "minrnn {}, and this is minrnn {}",
            there.version, asked.version
        ));
    }
    if there.configuration != asked.configuration {
        return Some(format!(
            "another configuration of {}: this program's has changed since",
            asked.experiment
        ));
    }
    (there.text != asked.text).then(|| "another text than that of --text".to_owned())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = files::read_text(path, MOST)?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} was not written by minrnn repro", path.display()))
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    files::write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            experiment: "stability".into(),
            version: "0.1.0".into(),
            configuration: "0".repeat(64),
            small: true,
            text: None,
        }
    }

    /// A program that was stopped between its two files has left a folder of its own.
    #[test]
    fn a_folder_of_times_alone_is_one_to_begin_in() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join(TIMES), &AllTimes::of(vec![])).unwrap();
        let folder = Folder::open(dir.path(), identity()).unwrap();
        assert!(folder.done.is_empty() && dir.path().join(RESULTS).exists());
        // Of somebody else it is none.
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(TIMES), "{}").unwrap();
        assert!(Folder::open(other.path(), identity()).is_err());
        let more = tempfile::tempdir().unwrap();
        write(&more.path().join(TIMES), &AllTimes::of(vec![])).unwrap();
        fs::write(more.path().join("notes.txt"), "mine").unwrap();
        let error = Folder::open(more.path(), identity())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no repro of minrnn"), "{error}");
    }
}
