//! The records of a CSV file one by one, none longer than a bound: a file without a line break, or with a quote that is never closed,
//! is one record of any length, and would be taken into memory whole. Quotes are looked at on the way ([`Quotes`]).

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Position, StringRecord, Trim};

use super::bounded::{AtMost, said};
use super::csv_format::{CsvFormat, numbered};
use super::csv_quotes::{Quote, Quotes};
use super::open_data;
use crate::error::{Result, TrainError};

/// No record is longer, bytes, with its end and the empty lines before it.
pub(super) const LONGEST: u64 = 16 << 20;
/// Bytes that are read ahead.
const BUFFER: usize = 1 << 16;

/// A CSV file that is being read.
pub(super) struct Records<'a> {
    path: &'a Path,
    reader: csv::Reader<Leash>,
    end: Rc<Cell<u64>>,
    longest: u64,
    format: CsvFormat,
}

impl<'a> Records<'a> {
    /// Rows may have any number of cells if `flexible`.
    pub(super) fn open(
        path: &'a Path,
        format: CsvFormat,
        longest: u64,
        flexible: bool,
    ) -> Result<Self> {
        let end = Rc::new(Cell::new(0));
        let leash = Leash {
            file: open_data(path).map_err(TrainError::io("read", path))?,
            read: 0,
            end: end.clone(),
            quotes: Quotes::new(format.delimiter.byte()),
        };
        let reader = csv::ReaderBuilder::new()
            .trim(Trim::All)
            .delimiter(format.delimiter.byte())
            .has_headers(format.header)
            .flexible(flexible)
            .buffer_capacity(BUFFER)
            .from_reader(leash);
        Ok(Self {
            path,
            reader,
            end,
            longest,
            format,
        })
    }

    /// The names of the columns: the first record, or where that has none numbers from 1 on.
    pub(super) fn header(&mut self) -> Result<StringRecord> {
        let first = self.bounded(|reader| reader.headers().cloned())?;
        Ok(match self.format.header {
            true => first,
            false => numbered(first.len()),
        })
    }

    /// The next record; whether there is one.
    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<bool> {
        self.bounded(|reader| reader.read_record(record))
    }

    /// How many records there are, without the one that names the columns.
    pub(super) fn count(mut self) -> Result<u64> {
        let (mut record, mut count) = (ByteRecord::new(), 0);
        self.bounded(|reader| reader.byte_headers().map(drop))?;
        while self.bounded(|reader| reader.read_byte_record(&mut record))? {
            count += 1;
        }
        Ok(count)
    }

    fn bounded<T>(
        &mut self,
        read: impl FnOnce(&mut csv::Reader<Leash>) -> csv::Result<T>,
    ) -> Result<T> {
        let begin = self.reader.position().clone();
        // So far has been read when a record that is not too long is whole.
        self.end.set(begin.byte() + self.longest + BUFFER as u64);
        let done = read(&mut self.reader);
        let too_long = match &done {
            Ok(_) => self.reader.position().byte() - begin.byte() > self.longest,
            Err(e) => is_too_long(e),
        };
        match too_long {
            true => Err(self.too_long(&begin)),
            false => done.map_err(|e| csv_error(self.path, e)),
        }
    }

    fn too_long(&self, begin: &Position) -> TrainError {
        let message = format!(
            "is longer than {}, the longest row that is read; a line break is missing, or a quote is not closed",
            said(self.longest)
        );
        TrainError::data(
            self.path,
            format!("row {}", line(self.path, begin)),
            message,
        )
    }
}

/// A file that is read up to a byte which moves on from record to record.
struct Leash {
    file: AtMost<File>,
    read: u64,
    end: Rc<Cell<u64>>,
    quotes: Quotes,
}

impl Read for Leash {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.end.get() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, TooLong));
        }
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        let looked = match n {
            0 => self.quotes.end(),
            _ => self.quotes.take(&buffer[..n]),
        };
        looked.map_err(|quote| io::Error::new(io::ErrorKind::InvalidData, quote))?;
        Ok(n)
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for Quote {}

/// What is wrong with a quote, where that is the error.
fn quote(error: &csv::Error) -> Option<&Quote> {
    match error.kind() {
        ErrorKind::Io(source) => source.get_ref()?.downcast_ref(),
        _ => None,
    }
}

#[derive(Debug)]
struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record is too long")
    }
}

impl std::error::Error for TooLong {}

fn is_too_long(error: &csv::Error) -> bool {
    match error.kind() {
        ErrorKind::Io(source) => source.get_ref().is_some_and(|cause| cause.is::<TooLong>()),
        _ => false,
    }
}

/// What a reader says, with the row.
fn csv_error(path: &Path, error: csv::Error) -> TrainError {
    if let Some(quote) = quote(&error) {
        return TrainError::data(path, format!("row {}", quote.line), quote.what);
    }
    let place = error
        .position()
        .map(|p| format!("row {}", line(path, p)))
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

/// The line of the file, from 1, in which a record begins. The reader's own count takes line breaks of two bytes, and empty lines, for
/// part of the record behind them.
pub(super) fn line(path: &Path, position: &csv::Position) -> u64 {
    let count = || -> std::io::Result<u64> {
        let mut lines = Lines::default();
        let mut reader = BufReader::new(std::fs::File::open(path)?);
        loop {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() || bytes.iter().any(|b| lines.ends(*b, position.byte())) {
                return Ok(lines.line);
            }
            let len = bytes.len();
            reader.consume(len);
        }
    };
    // A pipe cannot be read twice.
    let again = path.is_file().then(count).and_then(Result::ok);
    again.unwrap_or_else(|| position.line())
}

/// Counts lines that end in any of the three ways.
struct Lines {
    line: u64,
    byte: u64,
    after_return: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            line: 1,
            byte: 0,
            after_return: false,
        }
    }
}

impl Lines {
    /// Takes the next byte; whether it is the first of the record that is said to begin at byte `begin` or later.
    fn ends(&mut self, byte: u8, begin: u64) -> bool {
        let breaks = matches!(byte, b'\r' | b'\n');
        if self.byte >= begin && !breaks {
            return true;
        }
        if breaks && !(byte == b'\n' && self.after_return) {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
        self.byte += 1;
        false
    }
}
