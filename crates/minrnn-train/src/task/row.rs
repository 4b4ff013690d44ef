//! A row of tokens in a file of which only pieces are ever in memory.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::text::tokens::no_text;
use crate::error::{Result, TrainError};

/// Bytes of a piece while a file is gone through.
pub(super) const BLOCK: usize = 1 << 20;
/// Characters from one whose place in the file is remembered to the next.
const EVERY: usize = 4096;

/// What a token of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A character of UTF-8.
    Characters,
    /// So many bytes: an unsigned number, little-endian.
    Numbers(usize),
}

/// The file. Characters are found by the places of some of them.
#[derive(Debug)]
pub(super) struct Row {
    path: PathBuf,
    file: Mutex<File>,
    /// What the file was when it was gone through.
    stamp: Stamp,
    unit: Unit,
    /// Where the first token begins.
    begin: u64,
    /// Where the last one ends.
    end: u64,
    /// Of characters: where every [`EVERY`]-th begins, the first one too.
    marks: Vec<u64>,
    len: usize,
    /// The most bytes that were read at once.
    #[cfg(test)]
    pub(super) most: std::sync::atomic::AtomicUsize,
}

/// What tells a file from what it was: size, time of the last change, and on Unix which file it is. An edit that puts the time back is
/// not seen.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: Option<SystemTime>,
    file: Option<[u64; 2]>,
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            Some([about.dev(), about.ino()])
        };
        #[cfg(not(unix))]
        let file = None;
        Self {
            size: about.len(),
            changed: about.modified().ok(),
            file,
        }
    }
}

impl Row {
    /// Opens a file; of one of characters, goes through it, and says which there are.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Data`] for what is no plain file, no UTF-8, or no whole number of tokens.
    pub(super) fn open(path: &Path, unit: Unit) -> Result<(Self, BTreeSet<char>)> {
        let file = File::open(path).map_err(TrainError::io("read", path))?;
        let about = file.metadata().map_err(TrainError::io("read", path))?;
        if !about.is_file() {
            let message =
                "is no plain file, of which pieces could be read; leave task.from_disk out";
            return Err(TrainError::data(path, "", message));
        }
        let mut row = Self {
            path: path.to_path_buf(),
            stamp: Stamp::of(&about),
            file: Mutex::new(file),
            unit,
            begin: 0,
            end: about.len(),
            marks: vec![],
            len: 0,
            #[cfg(test)]
            most: 0.into(),
        };
        let characters = match unit {
            Unit::Characters => row.scan()?,
            Unit::Numbers(width) => {
                row.count(width)?;
                BTreeSet::new()
            }
        };
        Ok((row, characters))
    }

    fn count(&mut self, width: usize) -> Result<()> {
        if !self.end.is_multiple_of(width as u64) {
            let message = format!(
                "has {} bytes, which is no whole number of u{}",
                self.end,
                8 * width
            );
            return Err(TrainError::data(&self.path, "", message));
        }
        self.len = (self.end / width as u64) as usize;
        Ok(())
    }

    /// Tokens.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that are in memory as long as the row is.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.marks.capacity() * size_of::<u64>()
    }

    fn bytes(&self, from: u64, to: u64) -> Result<Vec<u8>> {
        let io = || TrainError::io("read", &self.path);
        let mut bytes = vec![0; (to - from) as usize];
        #[cfg(test)]
        (self.most).fetch_max(bytes.len(), std::sync::atomic::Ordering::Relaxed);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let about = file.metadata().map_err(io())?;
        let there = std::fs::metadata(&self.path).map_err(io())?;
        if [about, there].iter().any(|a| Stamp::of(a) != self.stamp) {
            return Err(self.changed());
        }
        file.seek(SeekFrom::Start(from)).map_err(io())?;
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.changed()),
            Err(e) => Err(io()(e)),
        }
    }

    /// What is told where the file is no longer what it was.
    pub(super) fn changed(&self) -> TrainError {
        let message = "was changed while it was in use; a file that is read from disk must stay as it is as long as the run";
        TrainError::data(&self.path, "", message)
    }

    /// Goes through the whole file: how many characters, where they are, and which.
    fn scan(&mut self) -> Result<BTreeSet<char>> {
        let mark = "\u{feff}".as_bytes();
        // A byte order mark says how the file is written, and is none of its characters.
        if self.end >= 3 && self.bytes(0, 3)? == mark {
            self.begin = 3;
        }
        let (mut ascii, mut others) = ([false; 128], BTreeSet::new());
        let (mut at, mut line) = (self.begin, 1);
        while at < self.end {
            let block = self.bytes(at, self.end.min(at + BLOCK as u64))?;
            let last = at + block.len() as u64 == self.end;
            let text = self.valid(&block, (at, line), last)?;
            line += text.bytes().filter(|b| *b == b'\n').count();
            for (offset, c) in text.char_indices() {
                if self.len.is_multiple_of(EVERY) {
                    self.marks.push(at + offset as u64);
                }
                self.len += 1;
                match ascii.get_mut(c as usize) {
                    Some(seen) => *seen = true,
                    None => {
                        others.insert(c);
                    }
                }
            }
            at += text.len() as u64;
        }
        let seen = (0u8..128).filter(|c| ascii[*c as usize]).map(char::from);
        others.extend(seen);
        Ok(others)
    }

    /// The characters of a block that are whole, or where it stops being UTF-8.
    fn valid<'b>(&self, block: &'b [u8], (at, line): (u64, usize), last: bool) -> Result<&'b str> {
        let error = match std::str::from_utf8(block) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let (good, _) = block.split_at(error.valid_up_to());
        let text = std::str::from_utf8(good).unwrap_or_default();
        // A character that the block's end cuts is whole in the next one.
        if error.error_len().is_none() && !last && !text.is_empty() {
            return Ok(text);
        }
        let at = at - self.begin + good.len() as u64;
        let line = line + good.iter().filter(|b| **b == b'\n').count();
        Err(no_text(&self.path, at, line))
    }

    /// Some characters.
    pub(super) fn text(&self, range: Range<usize>) -> Result<String> {
        if range.is_empty() {
            return Ok(String::new());
        }
        let first = range.start / EVERY;
        let end = self.marks.get(range.end.div_ceil(EVERY));
        let (from, to) = (self.marks[first], end.copied().unwrap_or(self.end));
        let bytes = self.bytes(from, to)?;
        let text = String::from_utf8(bytes).map_err(|_| self.changed())?;
        let text: String = (text.chars().skip(range.start - first * EVERY))
            .take(range.len())
            .collect();
        Ok(text)
    }

    /// Some numbers.
    pub(super) fn numbers(&self, range: Range<usize>) -> Result<Vec<u32>> {
        let Unit::Numbers(width) = self.unit else {
            return Ok(vec![]);
        };
        let [from, to] = [range.start, range.end].map(|i| self.begin + (i * width) as u64);
        let bytes = self.bytes(from, to)?;
        let number = |piece: &[u8]| piece.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
        Ok(bytes.chunks_exact(width).map(number).collect())
    }

    /// What its tokens are.
    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
