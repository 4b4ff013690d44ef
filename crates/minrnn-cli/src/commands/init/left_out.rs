//! Columns that are left out, and what is to be said of them.

use anyhow::{Result, bail};
use minrnn_train::data::{out_of_order, whole, written_otherwise};

use super::columns::{CLOCKS, Columns};

/// Steps from row to row, all of them the same, by which a counter is known.
const COUNTED: usize = 4;

/// Whole numbers that go on by the same amount with every row.
pub(super) struct Counter {
    pub(super) step: i128,
    /// Through the whole file; else within each sequence.
    through: bool,
}

impl Columns<'_> {
    /// Whether a column counts rows, of the file or of each sequence.
    pub(super) fn counter(&self, column: usize, groups: &[&[Vec<String>]]) -> Option<Counter> {
        let numbers = self.rows.iter().map(|row| whole(&row[column]));
        let numbers = numbers.collect::<Option<Vec<i128>>>()?;
        if let Some(step) = same_step(numbers.windows(2)) {
            return Some(Counter {
                step,
                through: true,
            });
        }
        let mut rest = &numbers[..];
        let mut runs = vec![];
        for group in groups {
            let (run, behind) = rest.split_at(group.len());
            runs.push(run);
            rest = behind;
        }
        let step = same_step(runs.iter().flat_map(|run| run.windows(2)))?;
        Some(Counter {
            step,
            through: false,
        })
    }

    /// The first row at which a column is no clock of rows in order, and why.
    pub(super) fn goes_back(
        &self,
        column: usize,
        groups: &[&[Vec<String>]],
    ) -> Option<(usize, String)> {
        let mut begin = 0;
        for group in groups {
            let cells = group.iter().map(|row| row[column].as_str());
            if let Some((at, what)) = out_of_order(cells) {
                return Some((begin + at, what));
            }
            begin += group.len();
        }
        None
    }

    /// What is to be said of a column that nothing uses; nothing of texts and constants, and of a second clock.
    pub(super) fn why_left_out(
        &self,
        column: usize,
        counter: Option<&Counter>,
        groups: &[&[Vec<String>]],
    ) -> Option<String> {
        let name = &self.names[column];
        if name.is_empty() {
            let name = column + 1;
            return Some(format!(
                "column {name} is left out: it has no name (an index that was written with the table, perhaps); to have it as a feature, give it one in the first row"
            ));
        }
        if self.is_called(column, &CLOCKS)
            && let Some((at, what)) = self.goes_back(column, groups)
        {
            let row = self.row(at);
            return Some(format!(
                "column '{name}' is called as a clock and left out: row {row} {what}; sort the rows of each sequence by it to have it as time_column, or name it in feature_columns, if it is none"
            ));
        }
        if let Some(Counter { step, through }) = counter {
            let of = if *through {
                "the file"
            } else {
                "each sequence"
            };
            return Some(format!(
                "column '{name}' is left out: it is a counter, which goes on by {step} with every row of {of} and would tell a model where in the recording it is; move it to feature_columns, if it is a feature"
            ));
        }
        self.spoilt(column)
    }

    /// A column of numbers but for some cells, as a sensor that was silent leaves it, or written in a way that is not read.
    fn spoilt(&self, column: usize) -> Option<String> {
        let wrong = |row: &&Vec<String>| !is_float(&row[column]);
        let count = self.rows.iter().filter(wrong).count();
        let many = 2 * count >= self.rows.len();
        if count == 0 || (many && !self.is_written_otherwise(column)) {
            return None;
        }
        Some(format!(
            "column '{}' is left out: {}",
            self.names[column],
            self.fault(column, count)?
        ))
    }

    /// What is wrong with the first cell that is no number.
    fn fault(&self, column: usize, count: usize) -> Option<String> {
        let at = self.rows.iter().position(|row| !is_float(&row[column]))?;
        let (cell, row) = (&self.rows[at][column], self.row(at));
        let (what, mend) = written_otherwise(cell).unwrap_or((
            "is no number",
            "to have it as a feature, give those cells a value, or leave their rows out",
        ));
        let more = match count {
            1 => String::new(),
            _ => format!(" (and so on, in {count} rows)"),
        };
        Some(format!("'{cell}' in row {row} {what}{more}; {mend}"))
    }

    /// Numbers, some of them in a way that is not read.
    fn is_written_otherwise(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row[column].as_str());
        cells.all(|cell| is_float(cell) || written_otherwise(cell).is_some())
    }

    /// Values that are not read as numbers would be classes.
    pub(super) fn refuse_targets(&self, targets: &[usize]) -> Result<()> {
        for target in targets {
            let wrong = |row: &&Vec<String>| !is_float(&row[*target]);
            let count = self.rows.iter().filter(wrong).count();
            if count > 0
                && self.is_written_otherwise(*target)
                && let Some(fault) = self.fault(*target, count)
            {
                bail!(
                    "{}: column '{}', which is to be predicted, is of numbers that are not read: {fault}",
                    self.path.display(),
                    self.names[*target]
                );
            }
        }
        Ok(())
    }

    /// Its number in the file.
    fn row(&self, at: usize) -> usize {
        at + 1 + usize::from(self.header)
    }
}

/// The step between all such pairs, where they are not few and it is one and not 0.
fn same_step<'a>(pairs: impl Iterator<Item = &'a [i128]>) -> Option<i128> {
    let (mut step, mut count) = (None, 0);
    for pair in pairs {
        let now = pair[1].checked_sub(pair[0])?;
        if *step.get_or_insert(now) != now {
            return None;
        }
        count += 1;
    }
    step.filter(|step| *step != 0 && count >= COUNTED)
}

fn is_float(cell: &str) -> bool {
    cell.parse().is_ok_and(f32::is_finite)
}
