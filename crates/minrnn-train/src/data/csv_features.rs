//! CSV files for a model that is trained, or that is to be made: names of columns, rows, features without labels.

use std::path::Path;

use csv::StringRecord;

use super::csv_format::CsvFormat;
use super::csv_records::{LONGEST, Records};
use super::rows::Rows;
use super::sequences::SequenceSet;
use super::sequences_csv::{Line, position};
use crate::error::Result;

/// Names of the columns of a CSV file: its first row, or where that has none numbers from 1 on.
///
/// # Errors
/// [`crate::TrainError::Io`]; [`crate::TrainError::Data`] for a row that is none.
pub fn csv_columns(path: &Path, format: CsvFormat) -> Result<Vec<String>> {
    let header = Records::open(path, format, LONGEST, false)?.header()?;
    Ok(header.iter().map(str::to_owned).collect())
}

/// The rows of a CSV file as texts, at most `most` of them, without the one that names the columns.
///
/// # Errors
/// As [`super::read_csv`].
pub fn csv_rows(path: &Path, format: CsvFormat, most: usize) -> Result<Vec<Vec<String>>> {
    let mut records = Records::open(path, format, LONGEST, false)?;
    records.header()?;
    let (mut all, mut record) = (vec![], StringRecord::new());
    while all.len() < most && records.next(&mut record)? {
        all.push(record.iter().map(str::to_owned).collect());
    }
    Ok(all)
}

/// Features alone, for a model that is trained, and what each sequence is called. Without the name of a column that tells the sequences
/// apart all rows are one sequence, whose name is empty. Columns besides are not looked at.
///
/// # Errors
/// As [`super::read_csv`].
pub fn read_csv_features(
    path: &Path,
    format: CsvFormat,
    id: Option<&str>,
    features: &[String],
) -> Result<(Vec<String>, SequenceSet)> {
    let mut records = Records::open(path, format, LONGEST, false)?;
    let header = records.header()?;
    let find = |name: &String| position(path, &header, "row 1", name);
    let id = id.map(|id| find(&id.to_owned())).transpose()?;
    let columns = features.iter().map(find).collect::<Result<_>>()?;
    let mut rows = Rows::new(path, &header, (id, columns), features);
    let mut record = StringRecord::new();
    while records.next(&mut record)? {
        rows.add(&Line {
            path,
            record: &record,
        })?;
    }
    let ids = rows.take_ids();
    Ok((ids, rows.finish(&[])?))
}
