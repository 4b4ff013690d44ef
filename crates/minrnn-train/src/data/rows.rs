//! Rows of a table as sequences: one row a step, the rows of a sequence one after the other. CSV and Parquet are read by it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::classes::Classes;
use super::decimal::written_otherwise;
use super::moment::Moment;
use super::sequences::{Labels, SequenceSet};
use super::{LabelKind, LabelScope};
use crate::error::{Result, TrainError};

/// What stands in a column of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    #[cfg(feature = "parquet")]
    Whole(i64),
    #[cfg(feature = "parquet")]
    Real(f64),
    #[cfg(feature = "parquet")]
    Null,
    /// The row is too short.
    Missing,
}

/// A row of a table.
pub(super) trait Record {
    fn cell(&self, column: usize) -> Cell<'_>;

    /// Its number, in messages.
    fn row(&self) -> String;
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
    /// The column that says when a row was, and when the row before was.
    time: Option<usize>,
    before: Option<Moment>,
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
            time: None,
            before: None,
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

    /// From here on rows have labels: these columns, of this kind.
    pub(super) fn expect(&mut self, columns: Vec<usize>, kind: LabelKind, scope: LabelScope) {
        self.label_columns = columns;
        (self.kind, self.scope, self.set.scope) = (kind, scope, scope);
    }

    /// From here on rows of a sequence must be in the order of this column.
    pub(super) fn in_order(&mut self, time: Option<usize>) {
        self.time = time;
    }

    /// Holds a row's time against that of the row before.
    fn tick(&mut self, record: &dyn Record, begins: bool) -> Result<()> {
        let Some(column) = self.time else {
            return Ok(());
        };
        let Some(now) = Moment::of(&self.text(record, column)?) else {
            return Err(self.error(record, column, "is empty, expected a time"));
        };
        let before = self.before.as_ref().filter(|_| !begins);
        if let Some(fault) = before.and_then(|before| now.fault_behind(before)) {
            return Err(self.error(record, column, fault));
        }
        self.before = Some(now);
        Ok(())
    }

    /// What the sequences are called, in their order; once.
    pub(super) fn take_ids(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ids)
    }

    pub(super) fn add(&mut self, record: &dyn Record) -> Result<()> {
        let id = match self.id {
            Some(column) => self.text(record, column)?,
            None => Cow::Borrowed(""),
        };
        let begins = self.current.as_deref() != Some(&*id);
        if begins {
            self.begin(record, &id)?;
        }
        self.tick(record, begins)?;
        for column in self.features.clone() {
            let value = self.number(record, column)?;
            self.set.features.push(value);
        }
        self.label(record, begins)
    }

    /// Closes the sequence before and opens the one called `id`.
    fn begin(&mut self, record: &dyn Record, id: &str) -> Result<()> {
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
    fn label(&mut self, record: &dyn Record, begins: bool) -> Result<()> {
        let keep = begins || self.scope == LabelScope::Step;
        let width = self.label_columns.len();
        for (k, column) in self.label_columns.clone().into_iter().enumerate() {
            let same = match self.kind {
                LabelKind::Classes => {
                    let cell = self.text(record, column)?;
                    let class = self.classes.number(&cell);
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

    /// A cell as it is written.
    fn text<'r>(&self, record: &'r dyn Record, column: usize) -> Result<Cow<'r, str>> {
        Ok(match record.cell(column) {
            Cell::Text(text) => Cow::Borrowed(text),
            #[cfg(feature = "parquet")]
            Cell::Whole(n) => Cow::Owned(n.to_string()),
            // With its point, which tells it from a class number.
            #[cfg(feature = "parquet")]
            Cell::Real(x) => Cow::Owned(format!("{x:?}")),
            #[cfg(feature = "parquet")]
            Cell::Null => return Err(self.error(record, column, "is null, expected a value")),
            Cell::Missing => return Err(self.error(record, column, "is missing")),
        })
    }

    fn number(&self, record: &dyn Record, column: usize) -> Result<f32> {
        let (value, too_small) = match record.cell(column) {
            #[cfg(feature = "parquet")]
            Cell::Whole(n) => (n as f32, false),
            #[cfg(feature = "parquet")]
            Cell::Real(x) => {
                let value = x as f32;
                (value, x != 0.0 && value.abs() < f32::MIN_POSITIVE)
            }
            _ => {
                let cell = self.text(record, column)?;
                let value = cell.parse::<f32>().unwrap_or(f32::NAN);
                (value, is_too_small(value, &cell))
            }
        };
        let wrong = |what: &str| {
            let cell = self.text(record, column)?;
            Err(self.error(record, column, format!("'{cell}' {what}")))
        };
        if !value.is_finite() {
            return match written_otherwise(&self.text(record, column)?) {
                Some((what, mend)) => wrong(&format!("{what}; {mend}")),
                None => wrong("is not a finite number"),
            };
        }
        match too_small {
            true => wrong(
                "is nearer to 0 than float32 holds (1.2e-38); give the column in another unit",
            ),
            false => Ok(value),
        }
    }

    fn error(&self, record: &dyn Record, column: usize, message: impl Into<String>) -> TrainError {
        let row = record.row();
        let name = self.header.get(column).unwrap_or_default();
        TrainError::data(self.path, format!("row {row}, column '{name}'"), message)
    }
}

/// Whether a number that is not 0 became 0, or one of those next to it that have few digits or none.
fn is_too_small(value: f32, cell: &str) -> bool {
    let digits = cell.split(['e', 'E']).next().unwrap_or_default();
    value.abs() < f32::MIN_POSITIVE && digits.contains(|c| matches!(c, '1'..='9'))
}
