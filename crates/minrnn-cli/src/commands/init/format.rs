//! How a CSV file is written: seen in its first row, where nobody says it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_train::data::{CsvFormat, Delimiter, csv_columns, written_otherwise};

use super::write::{Page, Value, plain};
use crate::args::Init;

/// Bytes that are looked at.
const FIRST: u64 = 1 << 16;

/// As it is said, else as it seems to be: a first row with a number in it names no columns.
pub(super) fn of(path: &Path, args: &Init) -> Result<CsvFormat> {
    let delimiter = match args.delimiter {
        Some(delimiter) => delimiter,
        None => Delimiter::of(&begin(path)?).unwrap_or_default(),
    };
    let header = true;
    let format = CsvFormat { delimiter, header };
    let first = csv_columns(path, format)?;
    if first.is_empty() {
        bail!("{}: is empty", path.display());
    }
    let is_number =
        |cell: &String| cell.parse::<f64>().is_ok() || written_otherwise(cell).is_some();
    let header = args.header.unwrap_or(!first.iter().any(is_number));
    Ok(CsvFormat { delimiter, header })
}

fn begin(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let mut begin = vec![];
    let file = File::open(path).with_context(failed)?;
    file.take(FIRST)
        .read_to_end(&mut begin)
        .with_context(failed)?;
    Ok(begin
        .strip_prefix("\u{feff}".as_bytes())
        .map_or(begin.clone(), <[u8]>::to_vec))
}

/// The keys that say what is not as usual.
pub(super) fn keys(page: &mut Page, table: &str, format: CsvFormat) {
    if format.delimiter != Delimiter::default() {
        let written = format!("\"{}\"", format.delimiter.written());
        page.key(table, "delimiter", Value::Plain(written), "");
    }
    if !format.header {
        let why = "a cell of the first row is a number";
        page.key(table, "header", plain(false), why);
    }
}
