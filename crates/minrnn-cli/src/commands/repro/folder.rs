//! The folder of an experiment: what is done so far, and what it is of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::context::EXPORTS;
use super::experiment::{Experiment, Kind};
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
pub(super) struct Folder<'e> {
    dir: PathBuf,
    of: Identity,
    experiment: &'e Experiment,
    /// In the order of the queue, however they came.
    pub(super) done: Vec<Done>,
}

impl<'e> Folder<'e> {
    /// Reads what is done, or begins.
    ///
    /// # Errors
    /// A folder of somebody else, of another experiment, version or text, or with runs by other settings, by name.
    pub(super) fn open(dir: &Path, of: Identity, experiment: &'e Experiment) -> Result<Self> {
        let mut folder = Self {
            dir: dir.to_path_buf(),
            of,
            experiment,
            done: vec![],
        };
        if !dir.join(RESULTS).exists() {
            if !files::is_free(dir)? && !has_times_alone(dir)? {
                bail!(
                    "{} is not empty and no repro of minrnn; choose another folder with --out",
                    dir.display()
                );
            }
            folder.write()?;
            return Ok(folder);
        }
        folder.done = folder.there(dir, "choose another folder with --out")?;
        if let Some(run) = folder.done.iter().find(|d| !folder.is_by_these_settings(d)) {
            bail!(
                "{} has {} by other settings than this program's; choose another folder with --out, and take the runs that are still good along with --from {}",
                dir.display(),
                run.key(),
                dir.display()
            );
        }
        folder.sort();
        Ok(folder)
    }

    /// Takes the runs of another folder in, with their exports, where this one has none of their names; what it left, in notes.
    ///
    /// # Errors
    /// A folder that is none of the same experiment, version, size and text.
    pub(super) fn take(&mut self, other: &Path) -> Result<Vec<String>> {
        let at = other.display();
        if !other.join(RESULTS).is_file() {
            bail!("--from {at}: no results of minrnn repro are there");
        }
        let mut notes = vec![];
        for run in self.there(other, "leave it out of --from")? {
            let key = run.key();
            if self.done.iter().any(|d| self.is_the_same(d, &run)) {
                notes.push(format!(
                    "{key} of {at} is left there: this folder has its own"
                ));
            } else if !self.is_by_these_settings(&run) {
                notes.push(format!(
                    "{key} of {at} is left there: it is by other settings"
                ));
            } else {
                if run
                    .outcome
                    .model
                    .as_ref()
                    .is_some_and(|m| m.export.is_some())
                {
                    let export = Path::new(EXPORTS).join(&key);
                    match other.join(&export).is_dir() {
                        true => copied(&other.join(&export), &self.dir.join(&export))?,
                        false => notes.push(format!("{key}: its export is not in {at}")),
                    }
                }
                self.done.push(run);
            }
        }
        self.sort();
        notes.extend(self.forget());
        self.write()?;
        Ok(notes)
    }

    /// The runs of a folder of the same experiment.
    fn there(&self, dir: &Path, mend: &str) -> Result<Vec<Done>> {
        let results: Results = read(&dir.join(RESULTS))?;
        if let Some(what) = differs(&results.of, &self.of) {
            bail!("{} has results of {what}; {mend}", dir.display());
        }
        let times: AllTimes = match dir.join(TIMES).exists() {
            true => read(&dir.join(TIMES))?,
            false => AllTimes::of(vec![]),
        };
        let mut of_run: BTreeMap<[String; 3], Times> = BTreeMap::new();
        for times in times.runs {
            let key = [&times.row, &times.case, &times.device].map(String::clone);
            of_run.insert(key, times);
        }
        let done = |outcome: Outcome| {
            let key = |on: &str| [outcome.row.as_str(), &outcome.case, on].map(str::to_owned);
            // Older files do not say the device: a run had one result.
            let times = of_run
                .remove(&key(&outcome.device))
                .or_else(|| of_run.remove(&key("")));
            let unknown = || Times {
                finished: 0,
                ..Done::new(&outcome.row, &outcome.case, &outcome.device).times
            };
            let times = times.map_or_else(unknown, |times| Times {
                device: outcome.device.clone(),
                ..times
            });
            Done { outcome, times }
        };
        let mut all: Vec<Done> = vec![];
        for run in results.runs.into_iter().map(done) {
            let twice = all.iter().any(|d| self.is_the_same(d, &run));
            if twice || !is_named_as_ours(&run) {
                bail!(
                    "{}: {} was not written by minrnn repro, or stands there twice; {mend}",
                    dir.join(RESULTS).display(),
                    run.key()
                );
            }
            all.push(run);
        }
        Ok(all)
    }

    fn is_by_these_settings(&self, run: &Done) -> bool {
        let now = self.experiment.settings(&run.outcome, self.of.small);
        now.as_ref() == Some(&run.outcome.settings)
    }

    fn sort(&mut self) {
        let rows = &self.experiment.row;
        let number = |case: &str| case.get(1..).and_then(|n| n.parse::<u64>().ok());
        self.done.sort_by_key(|d| {
            let row = rows.iter().position(|r| r.name == d.outcome.row);
            (row, number(&d.outcome.case), d.outcome.device.clone())
        });
    }

    pub(super) fn of(&self) -> &Identity {
        &self.of
    }

    /// Whether a run is there; one of that device, where runs of both are two results.
    pub(super) fn has(&self, row: &str, case: &str, device: &str) -> bool {
        let by_device = self.experiment.by_device;
        let on = |d: &Done| !by_device || d.outcome.device == device;
        self.done.iter().any(|d| d.is_of(row, case) && on(d))
    }

    fn is_the_same(&self, a: &Done, b: &Done) -> bool {
        let on_one = !self.experiment.by_device || a.outcome.device == b.outcome.device;
        on_one && a.is_of(&b.outcome.row, &b.outcome.case)
    }

    /// Takes a run in, and writes what is known; streams that went through a model that is now no more the best one, in notes.
    pub(super) fn add(&mut self, done: Done) -> Result<Vec<String>> {
        self.done.push(done);
        self.sort();
        let notes = self.forget();
        self.write()?;
        Ok(notes)
    }

    /// Of a row, the run with the lowest validation loss whose export was kept: the one that streams go through.
    pub(super) fn best(&self, row: &str) -> Option<&Done> {
        let kept = |d: &&Done| d.outcome.model.as_ref().is_some_and(|m| m.export.is_some());
        let loss = |d: &Done| d.get("loss").unwrap_or(f64::INFINITY);
        let all = self.done.iter().filter(|d| d.outcome.row == row);
        all.filter(kept).min_by(|a, b| loss(a).total_cmp(&loss(b)))
    }

    /// Leaves out streams through another model than [`Folder::best`], and says so in notes.
    pub(super) fn forget(&mut self) -> Vec<String> {
        let stale = |d: &Done| {
            let row = self.experiment.row(&d.outcome.row);
            let Some(of) = row
                .filter(|r| r.kind == Kind::Stream)
                .and_then(|r| r.of.as_deref())
            else {
                return false;
            };
            let best = self.best(of).and_then(|b| b.outcome.model.as_ref());
            best.is_some_and(|m| d.outcome.streamed.as_ref() != Some(&m.weights_sha256))
        };
        let out: Vec<bool> = self.done.iter().map(stale).collect();
        let mut notes = vec![];
        let mut out = out.into_iter();
        self.done.retain(|d| {
            let leaves = out.next() == Some(true);
            if leaves {
                notes.push(format!(
                    "{} went through another model than the one of the lowest validation loss: it is left out, and is to run again",
                    d.key()
                ));
            }
            !leaves
        });
        notes
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot create {}", self.dir.display()))?;
        let times = self.done.iter().map(|d| d.times.clone()).collect();
        write(&self.dir.join(TIMES), &AllTimes::of(times))?;
        let results = Results {
            schema: "minrnn.repro/2".into(),
            of: self.of.clone(),
            runs: self.done.iter().map(|d| d.outcome.clone()).collect(),
        };
        // Last: a run without its times is known, times without a run are not.
        write(&self.dir.join(RESULTS), &results)
    }
}

/// Whether case and export have the names that this program gives them.
fn is_named_as_ours(run: &Done) -> bool {
    let case = &run.outcome.case;
    let number = case.get(1..).and_then(|n| n.parse::<u64>().ok());
    let named = number.is_some_and(|n| {
        ['s', 'g', 't']
            .iter()
            .any(|letter| *case == format!("{letter}{n}"))
    });
    let export = run.outcome.model.as_ref().and_then(|m| m.export.clone());
    named && export.is_none_or(|e| e == format!("{EXPORTS}/{}", run.key()))
}

/// Copies the files of an export.
fn copied(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(what)?;
    for entry in fs::read_dir(from).with_context(what)? {
        let entry = entry.with_context(what)?;
        if entry.file_type().with_context(what)?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).with_context(what)?;
        }
    }
    Ok(())
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
    use super::super::outcome::Trained;
    use super::*;

    fn identity() -> Identity {
        Identity {
            experiment: "stability".into(),
            version: "0.1.0".into(),
            small: true,
            text: None,
        }
    }

    fn experiment() -> Experiment {
        Experiment::of(crate::args::ReproName::Stability).unwrap()
    }

    #[test]
    fn runs_by_other_names_and_twice_are_refused() {
        let experiment = experiment();
        let of = |cases: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            let runs = cases.iter().map(|case| {
                let mut run = Done::new("min-gru-1", case, "cpu").outcome;
                run.settings = experiment.settings(&run, true).unwrap();
                run
            });
            let results = Results {
                schema: "minrnn.repro/2".into(),
                of: identity(),
                runs: runs.collect(),
            };
            write(&dir.path().join(RESULTS), &results).unwrap();
            Folder::open(dir.path(), identity(), &experiment).map(|f| f.done.len())
        };
        assert_eq!(of(&["s1", "s0"]).unwrap(), 2);
        for wrong in [&["s00"][..], &["../../x"], &[""], &["s1", "s1"], &["é1"]] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("was not written by minrnn repro"), "{error}");
        }
    }

    /// The seed with the lowest validation loss is known when all are there: what went through another one is no figure of its row.
    #[test]
    fn streams_go_through_the_best_seed() {
        let experiment = Experiment::of(crate::args::ReproName::SelectiveCopying).unwrap();
        let of = Identity {
            experiment: "selective-copying".into(),
            ..identity()
        };
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path(), of, &experiment).unwrap();
        let trained = |seed: u64, loss: f64, export: bool| {
            let mut run = Done::new("min-gru", &format!("s{seed}"), "cpu");
            run.figure("loss", loss);
            run.outcome.model = Some(Trained {
                parameters: 1,
                weights_sha256: format!("sha of {seed}"),
                forms: vec![],
                holds: true,
                checks: 1,
                export: export.then(|| format!("exports/min-gru-s{seed}")),
            });
            run
        };
        let mut add = |run: Done| folder.add(run).unwrap();
        assert!(add(trained(0, 0.5, true)).is_empty());
        let mut stream = Done::new("min-gru-65536", "g0", "cpu");
        stream.outcome.streamed = Some("sha of 0".into());
        assert!(add(stream).is_empty());
        assert!(add(trained(1, 0.7, true)).is_empty());
        assert!(add(trained(2, 0.1, false)).is_empty());
        let notes = add(trained(3, 0.2, true));
        assert!(
            notes.len() == 1 && notes[0].contains("min-gru-65536-g0"),
            "{notes:?}"
        );
        assert!(!folder.has("min-gru-65536", "g0", "cpu"));
        assert_eq!(folder.best("min-gru").unwrap().key(), "min-gru-s3");
    }

    /// A program that was stopped between its two files has left a folder of its own.
    #[test]
    fn a_folder_of_times_alone_is_one_to_begin_in() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join(TIMES), &AllTimes::of(vec![])).unwrap();
        let experiment = experiment();
        let folder = Folder::open(dir.path(), identity(), &experiment).unwrap();
        assert!(folder.done.is_empty() && dir.path().join(RESULTS).exists());
        // Of somebody else it is none.
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(TIMES), "{}").unwrap();
        assert!(Folder::open(other.path(), identity(), &experiment).is_err());
        let more = tempfile::tempdir().unwrap();
        write(&more.path().join(TIMES), &AllTimes::of(vec![])).unwrap();
        fs::write(more.path().join("notes.txt"), "mine").unwrap();
        let error = Folder::open(more.path(), identity(), &experiment)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no repro of minrnn"), "{error}");
    }
}
