//! Sequence sets from CSV: one row a step, the rows of a sequence one after the other.

use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::classes::Classes;
use super::csv_records::{LONGEST, Records, line};
use super::sequences::{Labels, SequenceSet};
use super::{LabelKind, LabelScope, absent, unused};
use crate::error::{Result, TrainError};

/// Which columns of a CSV file mean what. The first row of the file names the columns.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvColumns {
    /// The column that tells which sequence a row belongs to (any text).
    pub id: String,
    /// The feature columns.
    pub features: Vec<String>,
    /// The label column; for real targets there may be several.
    pub labels: Vec<String>,
    /// Columns that the file may have besides; `*` stands for all others.
    pub ignored: Vec<String>,
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
    let mut records = Records::open(path, longest, false)?;
    let header = records.header()?;
    let row = match header.position() {
        Some(position) => format!("row {}", line(path, position)),
        None => "row 1".to_owned(),
    };
    let find = |name: &String| position(path, &header, &row, name);
    let id = find(&columns.id)?;
    let features = columns.features.iter().map(find).collect::<Result<_>>()?;
    let mut rows = Rows::new(path, &header, (Some(id), features), &columns.features);
    rows.label_columns = columns.labels.iter().map(find).collect::<Result<_>>()?;
    (rows.kind, rows.scope, rows.set.scope) = (kind, scope, scope);
    refuse_unused(path, &header, &row, columns)?;
    let mut record = StringRecord::new();
    while records.next(&mut record)? {
        rows.add(&record)?;
    }
    rows.finish(&columns.labels)
}

/// How many rows a CSV file has below the first one; 0 for what is no plain file, which cannot be read twice. The rows are gone through
/// one by one: how many there are, their lengths in the beginning do not tell.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read; [`TrainError::Data`] for a row that is too long.
pub(crate) fn count_rows(path: &Path) -> Result<u64> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    match about.is_file() {
        true => Records::open(path, LONGEST, true)?.count(),
        false => Ok(0),
    }
}

fn check_columns(columns: &CsvColumns, kind: LabelKind) -> Result<()> {
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
    columns.id == name || used.any(|used| used == name)
}

/// A column that nothing uses may be one that was forgotten.
fn refuse_unused(
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
    let Some(list) = unused(header.iter(), used, &columns.ignored) else {
        return Ok(());
    };
    let message = format!(
        "nothing uses column {list}; name it in feature_columns or target_columns, or in `ignore_columns` ([\"*\"]: all others)"
    );
    Err(TrainError::data(path, row, message))
}

/// The place of the only column of that name.
pub(super) fn position(
    path: &Path,
    header: &StringRecord,
    row: &str,
    name: &String,
) -> Result<usize> {
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

/// The rows read so far.
pub(super) struct Rows<'a> {
    path: &'a Path,
    header: &'a StringRecord,
    id: Option<usize>,
    features: Vec<usize>,
    label_columns: Vec<usize>,
    kind: LabelKind,
    scope: LabelScope,
    current: Option<String>,
    seen: BTreeSet<String>,
    /// Those of `seen` in their order.
    ids: Vec<String>,
    classes: Classes,
    values: Vec<f32>,
    set: SequenceSet,
}

impl<'a> Rows<'a> {
    /// None yet, of features without labels. Without a column that tells the sequences apart all rows are one, whose name is empty.
    pub(super) fn new(
        path: &'a Path,
        header: &'a StringRecord,
        (id, features): (Option<usize>, Vec<usize>),
        names: &[String],
    ) -> Self {
        Self {
            path,
            header,
            id,
            features,
            label_columns: vec![],
            kind: LabelKind::Values,
            scope: LabelScope::Step,
            current: None,
            seen: BTreeSet::new(),
            ids: Vec::new(),
            classes: Classes::default(),
            values: Vec::new(),
            set: SequenceSet {
                width: names.len(),
                features: Vec::new(),
                starts: vec![0],
                labels: Labels::Classes(Vec::new()),
                scope: LabelScope::Step,
                feature_names: Some(names.to_vec()),
                label_names: None,
            },
        }
    }

    /// What the sequences are called, in their order; once.
    pub(super) fn take_ids(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ids)
    }

    pub(super) fn add(&mut self, record: &StringRecord) -> Result<()> {
        let id = match self.id {
            Some(column) => self.cell(record, column)?,
            None => "",
        };
        let begins = self.current.as_deref() != Some(id);
        if begins {
            self.begin(record, id)?;
        }
        for column in self.features.clone() {
            let value = self.number(record, column)?;
            self.set.features.push(value);
        }
        self.label(record, begins)
    }

    /// Closes the sequence before and opens the one called `id`.
    fn begin(&mut self, record: &StringRecord, id: &str) -> Result<()> {
        let column = self.id.unwrap_or(0);
        if id.is_empty() && self.id.is_some() {
            let message = "is empty; every row says which sequence it belongs to";
            return Err(self.error(record, column, message.to_owned()));
        }
        if !self.seen.insert(id.to_owned()) {
            let message = format!(
                "sequence '{id}' goes on after another one began; sort the rows by sequence"
            );
            return Err(self.error(record, column, message));
        }
        if self.current.is_some() {
            self.set
                .starts
                .push(self.set.features.len() / self.set.width);
        }
        self.ids.push(id.to_owned());
        self.current = Some(id.to_owned());
        Ok(())
    }

    /// Keeps the label of a step, or of a sequence at its first row; at the others it must be the same.
    fn label(&mut self, record: &StringRecord, begins: bool) -> Result<()> {
        let keep = begins || self.scope == LabelScope::Step;
        let width = self.label_columns.len();
        for (k, column) in self.label_columns.clone().into_iter().enumerate() {
            let same = match self.kind {
                LabelKind::Classes => {
                    let cell = self.cell(record, column)?;
                    let class = self.classes.number(cell);
                    let class = class.map_err(|message| self.error(record, column, message))?;
                    if keep {
                        self.classes.keep(class);
                    }
                    self.classes.last() == Some(class)
                }
                LabelKind::Values => {
                    let value = self.number(record, column)?;
                    if keep {
                        self.values.push(value);
                    }
                    keep || self.values[self.values.len() - width + k] == value
                }
            };
            if !same {
                let message = "differs from the label in the first row of its sequence (or use `per = \"step\"`)";
                return Err(self.error(record, column, message));
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, labels: &[String]) -> Result<SequenceSet> {
        if self.current.is_none() {
            return Err(TrainError::data(
                self.path,
                "",
                "there are no rows below the first one, which names the columns",
            ));
        }
        self.set
            .starts
            .push(self.set.features.len() / self.set.width);
        (self.set.labels, self.set.label_names) = match self.kind {
            LabelKind::Classes => {
                let (ids, names) = self.classes.finish();
                (Labels::Classes(ids), names)
            }
            LabelKind::Values => {
                let (values, width) = (self.values, labels.len());
                (Labels::Values { values, width }, Some(labels.to_vec()))
            }
        };
        Ok(self.set)
    }

    fn cell<'r>(&self, record: &'r StringRecord, column: usize) -> Result<&'r str> {
        record
            .get(column)
            .ok_or_else(|| self.error(record, column, "is missing"))
    }

    fn number(&self, record: &StringRecord, column: usize) -> Result<f32> {
        let cell = self.cell(record, column)?;
        match cell.parse::<f32>() {
            Ok(value) if value.is_finite() && is_too_small(value, cell) => Err(self.error(
                record,
                column,
                format!("'{cell}' is nearer to 0 than float32 holds (1.2e-38); give the column in another unit"),
            )),
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error(record, column, format!("'{cell}' is not a finite number"))),
        }
    }

    fn error(
        &self,
        record: &StringRecord,
        column: usize,
        message: impl Into<String>,
    ) -> TrainError {
        let row = record.position().map_or(0, |p| line(self.path, p));
        let name = self.header.get(column).unwrap_or_default();
        TrainError::data(self.path, format!("row {row}, column '{name}'"), message)
    }
}

/// Whether a number that is not 0 became 0, or one of those next to it that have few digits or none.
fn is_too_small(value: f32, cell: &str) -> bool {
    let digits = cell.split(['e', 'E']).next().unwrap_or_default();
    value.abs() < f32::MIN_POSITIVE && digits.contains(|c| matches!(c, '1'..='9'))
}

#[cfg(test)]
#[path = "sequences_csv_tests.rs"]
mod tests;
