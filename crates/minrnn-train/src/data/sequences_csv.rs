//! Sequence sets from CSV: one row a step, the rows of a sequence one after the other.

use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::sequences::{Labels, SequenceSet};
use super::{LabelKind, LabelScope};
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
}

/// Reads a CSV file. The rows of a sequence must follow each other; they are steps in the order of the file.
/// A label for each sequence must be the same in all its rows.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Config`] for unusable column lists, [`TrainError::Data`] naming row and column.
pub fn read_csv(
    path: &Path,
    columns: &CsvColumns,
    kind: LabelKind,
    scope: LabelScope,
) -> Result<SequenceSet> {
    check_columns(columns, kind)?;
    let file = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let header = reader.headers().map_err(|e| csv_error(path, e))?.clone();
    let find = |name: &String| position(path, &header, name);
    let mut rows = Rows {
        path,
        header: &header,
        id: find(&columns.id)?,
        features: columns.features.iter().map(find).collect::<Result<_>>()?,
        label_columns: columns.labels.iter().map(find).collect::<Result<_>>()?,
        kind,
        scope,
        current: None,
        seen: BTreeSet::new(),
        set: SequenceSet {
            width: columns.features.len(),
            features: Vec::new(),
            starts: vec![0],
            labels: match kind {
                LabelKind::Classes => Labels::Classes(Vec::new()),
                LabelKind::Values => Labels::Values {
                    values: Vec::new(),
                    width: columns.labels.len(),
                },
            },
            scope,
        },
    };
    for record in reader.records() {
        rows.add(&record.map_err(|e| csv_error(path, e))?)?;
    }
    rows.finish()
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
    Ok(())
}

/// The place of the only column of that name.
fn position(path: &Path, header: &StringRecord, name: &String) -> Result<usize> {
    let mut found = header
        .iter()
        .enumerate()
        .filter(|(_, h)| h == name)
        .map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(i), None) => Ok(i),
        (Some(_), Some(_)) => Err(TrainError::data(
            path,
            "row 1",
            format!("column '{name}' occurs twice"),
        )),
        _ => {
            let names: Vec<&str> = header.iter().take(20).collect();
            Err(TrainError::data(
                path,
                "row 1",
                format!("there is no column '{name}'; the columns are {names:?}"),
            ))
        }
    }
}

fn csv_error(path: &Path, error: csv::Error) -> TrainError {
    let place = error
        .position()
        .map(|p| format!("row {}", p.line()))
        .unwrap_or_default();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => TrainError::io("read", path)(source),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => TrainError::data(
            path,
            place,
            format!("has {len} columns, expected {expected_len} as in the first row"),
        ),
        csv::ErrorKind::Utf8 { err, .. } => {
            TrainError::data(path, place, format!("is not UTF-8: {err}"))
        }
        other => TrainError::data(path, place, format!("{other:?}")),
    }
}

/// The rows read so far.
struct Rows<'a> {
    path: &'a Path,
    header: &'a StringRecord,
    id: usize,
    features: Vec<usize>,
    label_columns: Vec<usize>,
    kind: LabelKind,
    scope: LabelScope,
    current: Option<String>,
    seen: BTreeSet<String>,
    set: SequenceSet,
}

impl Rows<'_> {
    fn add(&mut self, record: &StringRecord) -> Result<()> {
        let id = self.cell(record, self.id)?;
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
        if !self.seen.insert(id.to_owned()) {
            let message = format!(
                "sequence '{id}' goes on after another one began; sort the rows by sequence"
            );
            return Err(self.error(record, self.id, message));
        }
        if self.current.is_some() {
            self.set
                .starts
                .push(self.set.features.len() / self.set.width);
        }
        self.current = Some(id.to_owned());
        Ok(())
    }

    /// Keeps the label of a step, or of a sequence at its first row; at the others it must be the same.
    fn label(&mut self, record: &StringRecord, begins: bool) -> Result<()> {
        let keep = begins || self.scope == LabelScope::Step;
        for (k, column) in self.label_columns.clone().into_iter().enumerate() {
            let same = match self.kind {
                LabelKind::Classes => {
                    let class = self.class(record, column)?;
                    let Labels::Classes(all) = &mut self.set.labels else {
                        continue;
                    };
                    if keep {
                        all.push(class);
                    }
                    all.last() == Some(&class)
                }
                LabelKind::Values => {
                    let value = self.number(record, column)?;
                    let Labels::Values { values, width } = &mut self.set.labels else {
                        continue;
                    };
                    if keep {
                        values.push(value);
                    }
                    keep || values[values.len() - *width + k] == value
                }
            };
            if !same {
                let message = "differs from the label in the first row of its sequence (or use `per = \"step\"`)";
                return Err(self.error(record, column, message));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SequenceSet> {
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
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error(record, column, format!("'{cell}' is not a finite number"))),
        }
    }

    fn class(&self, record: &StringRecord, column: usize) -> Result<u32> {
        let cell = self.cell(record, column)?;
        let wrong = |_| {
            self.error(
                record,
                column,
                format!("'{cell}' is not a class number 0, 1, 2, ..."),
            )
        };
        cell.parse().map_err(wrong)
    }

    fn error(
        &self,
        record: &StringRecord,
        column: usize,
        message: impl Into<String>,
    ) -> TrainError {
        let row = record.position().map_or(0, csv::Position::line);
        let name = self.header.get(column).unwrap_or_default();
        TrainError::data(self.path, format!("row {row}, column '{name}'"), message)
    }
}

#[cfg(test)]
#[path = "sequences_csv_tests.rs"]
mod tests;
