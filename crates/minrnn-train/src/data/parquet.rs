//! Sequence sets from Parquet: columns by name, read row by row as those of a CSV file.

mod pages;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;
use csv::StringRecord;

use super::rows::{Cell, Record, Rows};
use super::sequences::SequenceSet;
use super::sequences_csv::{CsvColumns, check_columns, position, refuse_unused};
use super::{LabelKind, LabelScope};
use crate::error::{Result, TrainError};

/// Rows that are in memory at once.
const ROWS: usize = 4096;

/// Reads a Parquet file, as [`read_csv`](super::read_csv) a CSV file: the same columns, the same rules. Values are booleans, integers,
/// floats and texts; none of those that are used is null.
///
/// # Errors
/// Those of [`read_csv`](super::read_csv), rows counted from 0; a column of another type, or nested, by its name.
pub(crate) fn read_parquet(
    path: &Path,
    columns: &CsvColumns,
    kind: LabelKind,
    scope: LabelScope,
) -> Result<SequenceSet> {
    check_columns(columns, kind)?;
    let (file, raw) = open(path)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let fields = schema.root_schema().get_fields();
    let header = StringRecord::from_iter(fields.iter().map(|f| f.name()));
    let find = |name: &String| position(path, &header, "", name);
    let id = find(&columns.id)?;
    let features = columns
        .features
        .iter()
        .map(find)
        .collect::<Result<Vec<_>>>()?;
    let labels = columns
        .labels
        .iter()
        .map(find)
        .collect::<Result<Vec<_>>>()?;
    let time = columns.time.as_ref().map(find).transpose()?;
    refuse_unused(path, &header, "", columns)?;
    let mut used: Vec<usize> = [&[id], &features[..], &labels].concat();
    used.extend(time);
    used.sort_unstable();
    let leaves = used
        .iter()
        .map(|field| leaf(path, &schema, &header[*field]));
    let leaves = leaves.collect::<Result<Vec<_>>>()?;
    let mut rows = Rows::new(path, &header, (Some(id), features), &columns.features);
    rows.expect(labels, kind, scope);
    rows.in_order(time);
    let mut table = Table {
        path,
        file: raw,
        header: &header,
        used,
        leaves,
        row: 0,
    };
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).map_err(|e| fault(path, &e))?;
        table.group(&*group, &mut rows)?;
    }
    rows.finish(&columns.labels)
}

/// How many rows a file has; 0 for what is no plain Parquet file.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read.
pub(crate) fn count_rows(path: &Path) -> Result<u64> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    if !about.is_file() {
        return Ok(0);
    }
    let rows = open(path).map(|(file, _)| file.metadata().file_metadata().num_rows());
    Ok(rows.map_or(0, |rows| u64::try_from(rows).unwrap_or(0)))
}

/// A file, and the same once more for pages that are unpacked here.
fn open(path: &Path) -> Result<(SerializedFileReader<File>, Arc<File>)> {
    let file = File::open(path).map_err(TrainError::io("read", path))?;
    let raw = file.try_clone().map_err(TrainError::io("read", path))?;
    let file = SerializedFileReader::new(file).map_err(|e| {
        TrainError::data(
            path,
            "",
            format!("not a Parquet file, or damaged or cut off: {e}"),
        )
    })?;
    Ok((file, Arc::new(raw)))
}

fn fault(path: &Path, error: &ParquetError) -> TrainError {
    TrainError::data(path, "", format!("cannot be read: {error}"))
}

/// A column of the file: its number, and how its values are to be read.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    column: usize,
    nullable: bool,
    unsigned: bool,
}

/// The column of a field that has one value in each row.
fn leaf(
    path: &Path,
    schema: &::parquet::schema::types::SchemaDescriptor,
    name: &str,
) -> Result<Leaf> {
    let refuse = |message: String| Err(TrainError::data(path, format!("column '{name}'"), message));
    let found = schema
        .columns()
        .iter()
        .position(|c| c.path().parts()[0] == name);
    let Some(column) = found else {
        return refuse("has no values".into());
    };
    let about = schema.column(column);
    if about.path().parts().len() > 1 || about.max_rep_level() > 0 {
        return refuse(
            "is nested: it has lists or structures, expected one value in each row".into(),
        );
    }
    if let Some(what) = other(&about) {
        return refuse(format!(
            "holds {what}, expected booleans, integers, floats or texts; write it as a number in a unit of your choice"
        ));
    }
    Ok(Leaf {
        column,
        nullable: about.max_def_level() > 0,
        unsigned: is_unsigned(&about),
    })
}

fn is_unsigned(about: &ColumnDescriptor) -> bool {
    use ConvertedType::{UINT_8, UINT_16, UINT_32, UINT_64};
    match about.logical_type_ref() {
        Some(LogicalType::Integer(kind)) => !kind.is_signed,
        _ => matches!(about.converted_type(), UINT_8 | UINT_16 | UINT_32 | UINT_64),
    }
}

/// What a column holds that is not read.
fn other(about: &ColumnDescriptor) -> Option<&'static str> {
    use ConvertedType as C;
    let logical = match about.logical_type_ref() {
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Integer(_)) => None,
        Some(LogicalType::Timestamp(_)) => Some("time stamps"),
        Some(LogicalType::Date) => Some("dates"),
        Some(LogicalType::Time(_)) => Some("times"),
        Some(LogicalType::Decimal(_)) => Some("decimal numbers"),
        Some(LogicalType::Float16) => Some("floats of 16 bits"),
        Some(LogicalType::Unknown) => Some("nothing but nulls"),
        Some(_) => Some("values of a type that is not read here"),
        None => match about.converted_type() {
            C::NONE | C::UTF8 | C::ENUM => None,
            C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64 => None,
            C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64 => None,
            C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS => Some("time stamps"),
            C::DATE => Some("dates"),
            C::TIME_MILLIS | C::TIME_MICROS => Some("times"),
            C::DECIMAL => Some("decimal numbers"),
            _ => Some("values of a type that is not read here"),
        },
    };
    let is_text = matches!(
        about.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Enum)
    ) || matches!(about.converted_type(), C::UTF8 | C::ENUM);
    logical.or(match about.physical_type() {
        Physical::INT96 => Some("time stamps"),
        Physical::BYTE_ARRAY if !is_text => Some("bytes that are not said to be text"),
        Physical::FIXED_LEN_BYTE_ARRAY => Some("bytes"),
        _ => None,
    })
}

/// Values of some rows of a column.
enum Values {
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

/// The rows of a file on their way.
struct Table<'a> {
    path: &'a Path,
    file: Arc<File>,
    header: &'a StringRecord,
    /// Fields that are used, ascending, and the column of each.
    used: Vec<usize>,
    leaves: Vec<Leaf>,
    /// Rows so far.
    row: usize,
}

impl Table<'_> {
    /// Refuses columns that are packed in a way that is not read.
    fn refuse_packed(&self, group: &dyn RowGroupReader) -> Result<()> {
        for (field, leaf) in self.used.iter().zip(&self.leaves) {
            let codec = group.metadata().column(leaf.column).compression_codec();
            if let Some(by) = pages::unknown(codec) {
                let message = format!(
                    "is packed by {by}, expected Snappy, gzip, zstd or no packing; write the file so (compression=\"zstd\" of pandas, Polars and PyArrow)"
                );
                let column = format!("column '{}'", &self.header[*field]);
                return Err(TrainError::data(self.path, column, message));
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &dyn RowGroupReader, rows: &mut Rows) -> Result<()> {
        let wrong = |e: &ParquetError| fault(self.path, e);
        self.refuse_packed(group)?;
        let readers = self
            .leaves
            .iter()
            .map(|leaf| pages::column(&self.file, group, leaf.column));
        let mut readers: Vec<ColumnReader> =
            readers.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
        let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        while left > 0 {
            let count = left.min(ROWS);
            let columns = readers
                .iter_mut()
                .zip(&self.leaves)
                .map(|(reader, leaf)| values(reader, *leaf, count).map_err(|e| wrong(&e)));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            for at in 0..count {
                rows.add(&Row {
                    used: &self.used,
                    columns: &columns,
                    at,
                    number: self.row + at,
                })?;
            }
            self.row += count;
            left -= count;
        }
        Ok(())
    }
}

/// A row of a file.
struct Row<'a> {
    used: &'a [usize],
    columns: &'a [Values],
    at: usize,
    number: usize,
}

impl Record for Row<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        let Ok(place) = self.used.binary_search(&column) else {
            return Cell::Missing;
        };
        let found = match &self.columns[place] {
            Values::Whole(all) => all[self.at].map(Cell::Whole),
            Values::Real(all) => all[self.at].map(Cell::Real),
            Values::Texts(all) => all[self.at].as_deref().map(Cell::Text),
        };
        found.unwrap_or(Cell::Null)
    }

    fn row(&self) -> String {
        format!("{} (from 0)", self.number)
    }
}

fn values(
    reader: &mut ColumnReader,
    leaf: Leaf,
    count: usize,
) -> std::result::Result<Values, ParquetError> {
    let text = |bytes: ByteArray| {
        let text = bytes.as_utf8();
        text.map(str::to_owned)
    };
    Ok(match reader {
        ColumnReader::BoolColumnReader(r) => {
            Values::Whole(some(r, leaf, count, |b| Ok(i64::from(b)))?)
        }
        ColumnReader::Int32ColumnReader(r) => Values::Whole(some(r, leaf, count, |v: i32| {
            Ok(match leaf.unsigned {
                true => i64::from(v.cast_unsigned()),
                false => i64::from(v),
            })
        })?),
        ColumnReader::Int64ColumnReader(r) => {
            Values::Whole(some(r, leaf, count, |v: i64| {
                match leaf.unsigned && v < 0 {
                    true => Err(ParquetError::General(
                        "an unsigned integer is larger than int64 can hold".into(),
                    )),
                    false => Ok(v),
                }
            })?)
        }
        ColumnReader::FloatColumnReader(r) => {
            Values::Real(some(r, leaf, count, |v| Ok(f64::from(v)))?)
        }
        ColumnReader::DoubleColumnReader(r) => Values::Real(some(r, leaf, count, Ok)?),
        ColumnReader::ByteArrayColumnReader(r) => Values::Texts(some(r, leaf, count, text)?),
        _ => return Err(ParquetError::General("a type that is not read here".into())),
    })
}

/// So many rows of a column, each a value or none.
fn some<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    leaf: Leaf,
    count: usize,
    read: impl Fn(T::T) -> std::result::Result<V, ParquetError>,
) -> std::result::Result<Vec<Option<V>>, ParquetError> {
    let (mut values, mut levels) = (vec![], vec![]);
    while levels.len() < count {
        let before = values.len();
        let mut of = vec![];
        let known = leaf.nullable.then_some(&mut of);
        let (records, found, _) =
            reader.read_records(count - levels.len(), known, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General(
                "a column ends before its rows".into(),
            ));
        }
        match leaf.nullable {
            true => levels.extend(of.iter().map(|level| *level > 0)),
            false => levels.extend(std::iter::repeat_n(true, records)),
        }
        debug_assert_eq!(values.len(), before + found);
    }
    let mut values = values.into_iter();
    let row = |there: bool| match there {
        true => {
            let short = || ParquetError::General("a column ends before its rows".into());
            read(values.next().ok_or_else(short)?).map(Some)
        }
        false => Ok(None),
    };
    levels.into_iter().map(row).collect()
}

#[cfg(test)]
#[path = "parquet_tests.rs"]
mod tests;
