//! Sequence sets from CSV: one row a step, the rows of a sequence one after the other.

use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::csv_format::CsvFormat;
use super::csv_records::{LONGEST, Records, line};
use super::rows::{Cell, Record, Rows};
use super::sequences::SequenceSet;
use super::{LabelKind, LabelScope, absent, unused};
use crate::error::{Result, TrainError};

/// Which columns of a CSV file mean what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CsvColumns {
    /// The column that tells which sequence a row belongs to (any text).
    pub id: String,
    /// The feature columns.
    pub features: Vec<String>,
    /// The label column; for real targets there may be several.
    pub labels: Vec<String>,
    /// The column that says when a row was: within a sequence it never goes back. It is no feature.
    pub time: Option<String>,
    /// Columns that the file may have besides; `*` stands for all others.
    pub ignored: Vec<String>,
    /// How the file is written.
    pub format: CsvFormat,
}

/// Reads a CSV file. The rows of a sequence must follow each other; they are steps in the order of the file.
/// A label for each sequence must be the same in all its rows. Classes are numbers 0, 1, 2, ... or names, which their sorted order numbers.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Config`] for unusable column lists, [`TrainError::Data`] naming row (the line of the file in which
/// it begins, from 1) and column; a row of more than 16 MiB, as soon as it is.
pub fn read_csv(
    path: &Path,
    columns: &CsvColumns,
    kind: LabelKind,
    scope: LabelScope,
) -> Result<SequenceSet> {
    read_within(path, columns, (kind, scope), LONGEST)
}

/// The same with another bound for the bytes of a row.
fn read_within(
    path: &Path,
    columns: &CsvColumns,
    (kind, scope): (LabelKind, LabelScope),
    longest: u64,
) -> Result<SequenceSet> {
    check_columns(columns, kind)?;
    let mut records = Records::open(path, columns.format, longest, false)?;
    let header = records.header()?;
    let row = match header.position() {
        Some(position) => format!("row {}", line(path, position)),
        None => "row 1".to_owned(),
    };
    let find = |name: &String| position(path, &header, &row, name);
    let id = find(&columns.id)?;
    let features = columns.features.iter().map(find).collect::<Result<_>>()?;
    let mut rows = Rows::new(path, &header, (Some(id), features), &columns.features);
    let labels = columns.labels.iter().map(find).collect::<Result<_>>()?;
    rows.expect(labels, kind, scope);
    rows.in_order(columns.time.as_ref().map(find).transpose()?);
    refuse_unused(path, &header, &row, columns)?;
    let mut record = StringRecord::new();
    while records.next(&mut record)? {
        rows.add(&Line {
            path,
            record: &record,
        })?;
    }
    rows.finish(&columns.labels)
}

/// A row of a CSV file.
pub(super) struct Line<'a> {
    pub(super) path: &'a Path,
    pub(super) record: &'a StringRecord,
}

impl Record for Line<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        self.record.get(column).map_or(Cell::Missing, Cell::Text)
    }

    fn row(&self) -> String {
        let row = self.record.position().map_or(0, |p| line(self.path, p));
        row.to_string()
    }
}

/// How many rows a CSV file has, without the one that names the columns; 0 for what is no plain file, which cannot be read twice. The rows are gone through
/// one by one: how many there are, their lengths in the beginning do not tell.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read; [`TrainError::Data`] for a row that is too long.
pub(crate) fn count_rows(path: &Path, format: CsvFormat) -> Result<u64> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    match about.is_file() {
        true => Records::open(path, format, LONGEST, true)?.count(),
        false => Ok(0),
    }
}

pub(super) fn check_columns(columns: &CsvColumns, kind: LabelKind) -> Result<()> {
    if columns.features.is_empty() {
        return Err(TrainError::config(
            "feature_columns",
            "at least one feature column is needed",
        ));
    }
    let labels = columns.labels.len();
    if labels == 0 || (kind == LabelKind::Classes && labels > 1) {
        let message =
            format!("{labels} columns are given; classes need one, real targets one or more");
        return Err(TrainError::config("target_columns", message));
    }
    let lists = [
        ("feature_columns", &columns.features),
        ("target_columns", &columns.labels),
    ];
    for (field, names) in lists {
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(TrainError::config(field, format!("has '{twice}' twice")));
        }
    }
    let both = |name: &&String| columns.features.contains(name);
    if let Some(name) = columns.labels.iter().find(both) {
        let message = format!(
            "has '{name}', which is a feature too: a model that is given what it is to find learns nothing; remove it here or from feature_columns"
        );
        return Err(TrainError::config("target_columns", message));
    }
    for (field, names) in lists {
        if names.contains(&columns.id) {
            let message = format!(
                "has '{}', which is the id_column: it says which sequence a row belongs to; remove it here, or copy the column under another name",
                columns.id
            );
            return Err(TrainError::config(field, message));
        }
    }
    if let Some(time) = &columns.time {
        let others = [
            &columns.features[..],
            &columns.labels,
            std::slice::from_ref(&columns.id),
        ];
        if others.iter().any(|names| names.contains(time)) {
            let message = format!(
                "is '{time}', which has another meaning already: a clock that the model is given tells it where in a sequence it is; remove it here, or copy the column under another name"
            );
            return Err(TrainError::config("time_column", message));
        }
    }
    let used = |name: &&String| is_used(columns, name);
    match columns.ignored.iter().find(used) {
        Some(name) => Err(TrainError::config(
            "ignore_columns",
            format!("has '{name}', which is used; remove it here or there"),
        )),
        None => Ok(()),
    }
}

fn is_used(columns: &CsvColumns, name: &str) -> bool {
    let mut used = columns.features.iter().chain(&columns.labels);
    let own = columns.id == name || columns.time.as_deref() == Some(name);
    own || used.any(|used| used == name)
}

/// A column that nothing uses may be one that was forgotten.
pub(super) fn refuse_unused(
    path: &Path,
    header: &StringRecord,
    row: &str,
    columns: &CsvColumns,
) -> Result<()> {
    let names: Vec<&str> = header.iter().collect();
    if let Some(message) = absent(&names, &columns.ignored) {
        return Err(TrainError::config("ignore_columns", message));
    }
    let used = |name: &str| is_used(columns, name);
    let known = used("") || columns.ignored.iter().any(|i| i.is_empty() || i == "*");
    if let Some(what) = nameless(header).filter(|_| !known) {
        let message = format!(
            "{what}, and nothing uses it; leave it out of the file, give it a name there, or write \"\" in `ignore_columns`"
        );
        return Err(TrainError::data(path, row, message));
    }
    let Some(list) = unused(header.iter(), used, &columns.ignored) else {
        return Ok(());
    };
    let message = format!(
        "nothing uses column {list}; name it in feature_columns or target_columns, or in `ignore_columns` ([\"*\"]: all others)"
    );
    Err(TrainError::data(path, row, message))
}

/// The first column whose name is empty.
fn nameless(header: &StringRecord) -> Option<String> {
    let place = header.iter().position(str::is_empty)?;
    Some(format!("column {} has no name", place + 1))
}

/// The place of the only column of that name, which is not empty.
pub(super) fn position(
    path: &Path,
    header: &StringRecord,
    row: &str,
    name: &String,
) -> Result<usize> {
    if let Some(what) = nameless(header).filter(|_| name.is_empty()) {
        let message = format!(
            "{what}, and what is used has one; give it a name in the file, or write \"\" in `ignore_columns` alone"
        );
        return Err(TrainError::data(path, row, message));
    }
    let mut found = header
        .iter()
        .enumerate()
        .filter(|(_, h)| h == name)
        .map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(i), None) => Ok(i),
        (Some(_), Some(_)) => Err(TrainError::data(
            path,
            row,
            format!("column '{name}' occurs twice"),
        )),
        _ => {
            let names: Vec<&str> = header.iter().take(20).collect();
            Err(TrainError::data(
                path,
                row,
                format!("there is no column '{name}'; the columns are {names:?}"),
            ))
        }
    }
}

#[cfg(test)]
#[path = "sequences_csv_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "csv_names_tests.rs"]
mod names_tests;
