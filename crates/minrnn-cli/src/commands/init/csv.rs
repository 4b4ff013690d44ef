//! Labelled sequences of a CSV file: which column is what is guessed, by names and by what stands in the columns.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use minrnn_train::data::{CsvFormat, csv_columns, csv_rows, in_order};

use super::format;
use super::write::{Page, Sizes, Value, parts, rest};
use crate::args::Init;

/// Rows that are looked at.
const ROWS: usize = 200_000;
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
const CLOCKS: [&str; 9] = [
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

/// What a file is taken for.
struct Guess {
    id: String,
    features: Vec<String>,
    targets: Vec<String>,
    ignored: Vec<String>,
    classes: bool,
    per_step: bool,
    sequences: usize,
    longest: usize,
    /// The clock whose order the rows are in.
    time: Option<String>,
    format: CsvFormat,
    /// What is to be said of columns that are nearly features.
    notes: Vec<String>,
    /// Whether a file was looked at, and whether it has more rows than that.
    seen: bool,
    cut: bool,
}

/// The file, and what is to be said of it.
pub(super) fn configuration(args: &Init) -> Result<(String, Vec<String>)> {
    let Some(path) = &args.file else {
        return Ok((page("pump.csv", &example()), vec![]));
    };
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
    {
        bail!(
            "{} is Parquet, and `minrnn init` guesses from CSV; `minrnn init csv` without a file writes the same keys, of which path, id_column, feature_columns, target_columns and ignore_columns are yours to fill in",
            path.display()
        );
    }
    let format = format::of(path, args)?;
    let table = Columns {
        path,
        header: format.header,
        names: csv_columns(path, format)?,
        rows: csv_rows(path, format, ROWS + 1)?,
    };
    if table.rows.is_empty() {
        bail!(
            "{}: there are no rows below the first one, which names the columns",
            path.display()
        );
    }
    let guess = Guess {
        format,
        ..table.guess(args)?
    };
    Ok((page(&path.display().to_string(), &guess), guess.notes))
}

fn example() -> Guess {
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Guess {
        id: "run".into(),
        features: names(&["flow", "pressure"]),
        targets: names(&["level"]),
        ignored: vec![],
        time: Some("time".into()),
        format: CsvFormat::default(),
        notes: vec![],
        classes: false,
        per_step: true,
        sequences: 100,
        longest: 64,
        seen: false,
        cut: false,
    }
}

fn page(path: &str, guess: &Guess) -> String {
    const TABLE: &str = "task.sequences";
    let mut page = Page::default();
    page.note("Labels of sequences, a row a step: `minrnn train` with this file, then `minrnn eval` with the run.");
    if guess.seen {
        page.note("Which column is what was guessed: hold it against your data.");
    }
    guess.notes.iter().for_each(|note| page.note(note));
    page.table("task");
    page.key(TABLE, "kind", Value::Text("sequences"), "");
    page.key(TABLE, "path", Value::Text(path), "");
    let more = if guess.cut { "at least " } else { "" };
    let why = match guess.seen {
        true => format!(
            "{more}{} sequences, the longest of {} steps",
            guess.sequences, guess.longest
        ),
        false => "an example, as all columns here".to_owned(),
    };
    page.key(TABLE, "id_column", Value::Text(&guess.id), &why);
    page.key(TABLE, "feature_columns", Value::Texts(&guess.features), "");
    page.key(TABLE, "target_columns", Value::Texts(&guess.targets), "");
    if let Some(time) = &guess.time {
        page.key(TABLE, "time_column", Value::Text(time), "");
    }
    if !guess.ignored.is_empty() {
        let why =
            "clocks, counters, constants and texts; move one to feature_columns if it is a feature";
        page.key(TABLE, "ignore_columns", Value::Texts(&guess.ignored), why);
    }
    format::keys(&mut page, TABLE, guess.format);
    let target = if guess.classes { "classes" } else { "values" };
    page.key(TABLE, "target", Value::Text(target), "");
    let (per, why) = match guess.per_step {
        true if !guess.seen => ("step", ""),
        true => ("step", "the label changes within sequences"),
        false => (
            "sequence",
            "the label is the same in all rows of a sequence",
        ),
    };
    page.key(TABLE, "per", Value::Text(per), why);
    let evaluates = parts(&mut page, guess.sequences);
    let sizes = Sizes {
        width: 64,
        longest: guess.longest,
        steps: 1000,
        batch: (guess.sequences / 4).clamp(1, 16),
        evaluates,
    };
    rest(&mut page, &sizes);
    page.finish()
}

struct Columns<'a> {
    path: &'a Path,
    /// Whether the file has a row for the names.
    header: bool,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Columns<'_> {
    fn guess(&self, args: &Init) -> Result<Guess> {
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
        let free = |i: &usize| *i != id && !given.contains(i);
        let is_clock = |i: &usize| CLOCKS.contains(&self.names[*i].to_lowercase().as_str());
        let usable = |i: &usize| free(i) && !is_clock(i);
        let targets = match given.is_empty() {
            false => given.clone(),
            true => vec![self.target(usable)?],
        };
        let feature = |i: &usize| {
            usable(i) && !targets.contains(i) && self.is_numeric(*i) && self.distinct(*i).len() > 1
        };
        let all = 0..self.names.len();
        let features: Vec<usize> = all.clone().filter(feature).collect();
        if features.is_empty() {
            let spoilt = all.filter(|i| usable(i) && !targets.contains(i));
            let spoilt: Vec<String> = spoilt.filter_map(|i| self.spoilt(i)).collect();
            bail!(
                "{}: no column of numbers is left for the features beside {} and {}{}{}",
                self.path.display(),
                self.names[id],
                self.called(&targets).join(", "),
                if spoilt.is_empty() { "" } else { "; " },
                spoilt.join("; ")
            );
        }
        let groups = self.groups(id);
        let ascends = |i: &usize| {
            (groups.iter()).all(|group| in_order(group.iter().map(|row| row[*i].as_str())))
        };
        let left = |i: &usize| *i != id && !targets.contains(i) && !features.contains(i);
        let time = all.clone().filter(left).filter(is_clock).find(ascends);
        let ignored: Vec<usize> = all.filter(left).filter(|i| Some(*i) != time).collect();
        let constant = |i: &usize| {
            let same = |group: &&[Vec<String>]| group.iter().all(|row| row[*i] == group[0][*i]);
            groups.iter().all(same)
        };
        let longest = groups.iter().map(|g| g.len()).max().unwrap_or(1);
        Ok(Guess {
            id: self.names[id].clone(),
            features: self.called(&features),
            classes: matches!(targets[..], [one] if self.is_classes(one)),
            per_step: !(longest > 1 && targets.iter().all(constant)),
            targets: self.called(&targets),
            ignored: self.called(&ignored),
            time: time.map(|i| self.names[i].clone()),
            format: CsvFormat::default(),
            notes: ignored.iter().filter_map(|i| self.spoilt(*i)).collect(),
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

    /// The column each of whose values stands in rows that follow each other, at least two of them somewhere: by its name, else the first.
    fn id(&self, targets: &[usize]) -> Result<usize> {
        let tells = |i: &usize| {
            let (groups, distinct) = (self.groups(*i).len(), self.distinct(*i).len());
            groups == distinct && groups < self.rows.len() && !targets.contains(i)
        };
        let all: Vec<usize> = (0..self.names.len()).filter(tells).collect();
        let named = |i: &&usize| IDS.contains(&self.names[**i].to_lowercase().as_str());
        let several = |i: &&usize| self.distinct(**i).len() > 1;
        let found = all.iter().find(named).or_else(|| all.iter().find(several));
        match found {
            Some(place) => Ok(*place),
            None => bail!(
                "{}: no column tells the sequences apart: one whose values stand in rows that follow each other. The columns are {}; --id-column names it; where all rows are one sequence, add a column with one value",
                self.path.display(),
                self.names.join(", ")
            ),
        }
    }

    /// The column that is predicted: by its name, else the last one.
    fn target(&self, usable: impl Fn(&usize) -> bool) -> Result<usize> {
        let all: Vec<usize> = (0..self.names.len()).filter(usable).collect();
        let named = |i: &&usize| TARGETS.contains(&self.names[**i].to_lowercase().as_str());
        match all.iter().find(named).or(all.last()) {
            Some(place) => Ok(*place),
            None => bail!(
                "{}: no column is left to be predicted; --target-column names it",
                self.path.display()
            ),
        }
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |row: &Vec<String>| row[column].parse().is_ok_and(f32::is_finite);
        self.rows.iter().all(number)
    }

    /// A column of numbers but for some cells, as a sensor that was silent leaves it.
    fn spoilt(&self, column: usize) -> Option<String> {
        let wrong = |row: &&Vec<String>| !row[column].parse().is_ok_and(f32::is_finite);
        let count = self.rows.iter().filter(wrong).count();
        if count == 0 || 2 * count >= self.rows.len() {
            return None;
        }
        let at = self.rows.iter().position(|row| wrong(&row))?;
        let (cell, row) = (&self.rows[at][column], at + 1 + usize::from(self.header));
        let more = match count {
            1 => String::new(),
            _ => format!(", as are {} more", count - 1),
        };
        Some(format!(
            "column '{}' is left out: '{cell}' in row {row} is no number{more}; to have it as a feature, give those cells a value, or leave their rows out",
            self.names[column]
        ))
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

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
