//! Which column of a CSV file is what: guessed by names and by what stands in the columns.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use minrnn_train::data::{CsvFormat, is_time, whole};

use super::guess::Guess;
use crate::args::Init;

/// Rows that are looked at.
pub(super) const ROWS: usize = 200_000;
/// More whole numbers than these are values rather than classes.
const CLASSES: usize = 100;
/// Names of columns that tell sequences apart, and of those that are predicted.
const IDS: [&str; 12] = [
    "id",
    "run",
    "sequence",
    "seq",
    "series",
    "session",
    "trial",
    "recording",
    "file",
    "group",
    "unit",
    "episode",
];
const TARGETS: [&str; 7] = [
    "label", "labels", "target", "targets", "class", "y", "output",
];
/// Clocks and counters: a model that is given them learns where in the recording it is.
pub(super) const CLOCKS: [&str; 9] = [
    "time",
    "timestamp",
    "date",
    "datetime",
    "clock",
    "t",
    "step",
    "index",
    "row",
];

/// The rows of a file.
pub(super) struct Columns<'a> {
    pub(super) path: &'a Path,
    /// Whether the file has a row for the names.
    pub(super) header: bool,
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Columns<'_> {
    pub(super) fn guess(&self, args: &Init) -> Result<Guess> {
        let given = args
            .target_column
            .iter()
            .map(|name| self.place(name, "--target-column"));
        let given = given.collect::<Result<Vec<_>>>()?;
        let id = match &args.id_column {
            Some(name) => self.place(name, "--id-column")?,
            None => self.id(&given)?,
        };
        if given.contains(&id) {
            bail!(
                "--target-column {} is the column that tells the sequences apart",
                self.names[id]
            );
        }
        let groups = self.groups(id);
        let all = 0..self.names.len();
        let counters: Vec<Option<_>> = all.clone().map(|i| self.counter(i, &groups)).collect();
        let free = |i: &usize| *i != id && !given.contains(i) && !self.names[*i].is_empty();
        let usable = |i: &usize| free(i) && !self.is_called(*i, &CLOCKS);
        let rises = |i: &usize| counters[*i].as_ref().is_some_and(|c| c.step > 0);
        let targets = match given.is_empty() {
            false => given.clone(),
            true => vec![self.target(usable, rises)?],
        };
        self.refuse_targets(&targets)?;
        let feature = |i: &usize| {
            usable(i)
                && !targets.contains(i)
                && counters[*i].is_none()
                && self.is_numeric(*i)
                && self.distinct(*i).len() > 1
        };
        let features: Vec<usize> = all.clone().filter(feature).collect();
        let left = |i: &usize| *i != id && !targets.contains(i) && !features.contains(i);
        let left: Vec<usize> = all.filter(left).collect();
        let clocks = left.iter().filter(|i| self.is_called(**i, &CLOCKS));
        let time = clocks
            .copied()
            .find(|i| self.goes_back(*i, &groups).is_none());
        let ignored: Vec<usize> = left.into_iter().filter(|i| Some(*i) != time).collect();
        let why = |i: &usize| self.why_left_out(*i, counters[*i].as_ref(), &groups);
        let notes: Vec<String> = ignored.iter().filter_map(why).collect();
        if features.is_empty() {
            bail!(
                "{}: no column of numbers is left for the features beside {} and {}{}{}",
                self.path.display(),
                self.names[id],
                self.called(&targets).join(", "),
                if notes.is_empty() { "" } else { "; " },
                notes.join("; ")
            );
        }
        let constant = |i: &usize| {
            let same = |group: &&[Vec<String>]| group.iter().all(|row| row[*i] == group[0][*i]);
            groups.iter().all(same)
        };
        let longest = groups.iter().map(|g| g.len()).max().unwrap_or(1);
        let mut ignored = self.called(&ignored);
        // One empty name stands for all columns without one.
        let mut unnamed = ignored.iter().filter(|name| name.is_empty()).count();
        ignored.retain(|name| {
            let again = name.is_empty() && unnamed > 1;
            unnamed -= usize::from(again);
            !again
        });
        Ok(Guess {
            id: self.names[id].clone(),
            features: self.called(&features),
            classes: matches!(targets[..], [one] if self.is_classes(one)),
            per_step: !(longest > 1 && targets.iter().all(constant)),
            targets: self.called(&targets),
            ignored,
            time: time.map(|i| self.names[i].clone()),
            format: CsvFormat::default(),
            notes,
            sequences: groups.len(),
            longest,
            seen: true,
            cut: self.rows.len() > ROWS,
        })
    }

    fn place(&self, name: &String, flag: &str) -> Result<usize> {
        match self.names.iter().position(|n| n == name) {
            Some(place) => Ok(place),
            None => bail!(
                "{flag} {name}: {} has no such column; it has {}",
                self.path.display(),
                self.names.join(", ")
            ),
        }
    }

    fn called(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().map(|i| self.names[*i].clone()).collect()
    }

    /// The column each of whose values stands in rows that follow each other, at least two of them somewhere: by its name, else the first. A clock is none:
    /// rows of several machines at one time are no sequence.
    fn id(&self, targets: &[usize]) -> Result<usize> {
        let tells = |i: &usize| {
            let (groups, distinct) = (self.groups(*i).len(), self.distinct(*i).len());
            groups == distinct
                && groups < self.rows.len()
                && !targets.contains(i)
                && !self.names[*i].is_empty()
        };
        let all: Vec<usize> = (0..self.names.len()).filter(tells).collect();
        let named = |i: &&usize| self.is_called(**i, &IDS);
        let several = |i: &&usize| self.distinct(**i).len() > 1;
        let tells =
            |i: &&usize| several(i) && !self.reads_as_clock(**i) && !self.has_fractions(**i);
        let found = all.iter().find(named).or_else(|| all.iter().find(tells));
        match found {
            Some(place) => Ok(*place),
            None => {
                let mut clocks = all.iter().filter(|i| self.reads_as_clock(**i));
                let clock = clocks.find(several).map_or(String::new(), |i| {
                    format!(" ('{}' reads as a clock)", self.names[*i])
                });
                bail!(
                    "{}: no column tells the sequences apart: one whose values stand in rows that follow each other{clock}. The columns are {}; --id-column names it; where rows are in another order, sort them by the column of their sequences first; where all rows are one sequence, add a column with one value",
                    self.path.display(),
                    self.names.join(", ")
                )
            }
        }
    }

    fn reads_as_clock(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row[column].as_str());
        self.is_called(column, &CLOCKS) || cells.all(is_time)
    }

    /// What is measured tells nothing apart, even where only neighbours are the same.
    fn has_fractions(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| whole(&row[column]));
        self.is_numeric(column) && cells.any(|whole| whole.is_none())
    }

    /// The column that is predicted: by its name, else the last one that does not count rows.
    fn target(
        &self,
        usable: impl Fn(&usize) -> bool,
        rises: impl Fn(&usize) -> bool,
    ) -> Result<usize> {
        let all: Vec<usize> = (0..self.names.len()).filter(usable).collect();
        let named = |i: &&usize| self.is_called(**i, &TARGETS);
        let last = || all.iter().rfind(|i| !rises(i));
        match all.iter().find(named).or_else(last) {
            Some(place) => Ok(*place),
            None => bail!(
                "{}: no column is left to be predicted; --target-column names it",
                self.path.display()
            ),
        }
    }

    pub(super) fn is_called(&self, column: usize, names: &[&str]) -> bool {
        names.contains(&self.names[column].to_lowercase().as_str())
    }

    pub(super) fn is_numeric(&self, column: usize) -> bool {
        let number = |row: &Vec<String>| row[column].parse().is_ok_and(f32::is_finite);
        self.rows.iter().all(number)
    }

    /// Texts, numbers padded with zeros (01), or all whole numbers from 0 up to one that is not large.
    fn is_classes(&self, column: usize) -> bool {
        let all = self.distinct(column);
        if !self.is_numeric(column)
            || all
                .iter()
                .any(|t| t.len() > 1 && t.starts_with('0') && !t.contains('.'))
        {
            return true;
        }
        let numbers: BTreeSet<usize> = all.iter().filter_map(|t| t.parse().ok()).collect();
        let dense = numbers.last().is_some_and(|last| last + 1 == numbers.len());
        numbers.len() == all.len() && dense && (2..=CLASSES).contains(&numbers.len())
    }

    fn distinct(&self, column: usize) -> BTreeSet<&str> {
        self.rows.iter().map(|row| row[column].as_str()).collect()
    }

    /// Rows that follow each other and have the same value.
    fn groups(&self, column: usize) -> Vec<&[Vec<String>]> {
        self.rows.chunk_by(|a, b| a[column] == b[column]).collect()
    }
}
