//! The records of a CSV file one by one, none longer than a bound: a file without a line break, or with a quote that is never closed,
//! is one record of any length, and would be taken into memory whole. Quotes are looked at on the way ([`Quotes`]).

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Position, StringRecord, Trim};

use super::bounded::{AtMost, said};
use super::csv_quotes::{Quote, Quotes};
use super::open_data;
use super::sequences_csv::{csv_error, line};
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
}

impl<'a> Records<'a> {
    /// Rows may have any number of cells if `flexible`.
    pub(super) fn open(path: &'a Path, longest: u64, flexible: bool) -> Result<Self> {
        let end = Rc::new(Cell::new(0));
        let leash = Leash {
            file: open_data(path).map_err(TrainError::io("read", path))?,
            read: 0,
            end: end.clone(),
            quotes: Quotes::default(),
        };
        let reader = csv::ReaderBuilder::new()
            .trim(Trim::All)
            .flexible(flexible)
            .buffer_capacity(BUFFER)
            .from_reader(leash);
        Ok(Self {
            path,
            reader,
            end,
            longest,
        })
    }

    /// The first record, which names the columns.
    pub(super) fn header(&mut self) -> Result<StringRecord> {
        self.bounded(|reader| reader.headers().cloned())
    }

    /// The next record; whether there is one.
    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<bool> {
        self.bounded(|reader| reader.read_record(record))
    }

    /// How many records there are behind the first one.
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
pub(super) fn quote(error: &csv::Error) -> Option<&Quote> {
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
