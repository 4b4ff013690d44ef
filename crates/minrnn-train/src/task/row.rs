//! A row of tokens in a file of which only pieces are ever in memory.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::text::tokens::no_text;
use crate::data::Plain;
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
    file: Plain,
    unit: Unit,
    /// Where the first token begins.
    begin: u64,
    /// Where the last one ends.
    end: u64,
    /// Of characters: where every [`EVERY`]-th begins, the first one too.
    marks: Vec<u64>,
    len: usize,
}

impl Row {
    /// Opens a file; of one of characters, goes through it, and says which there are.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Data`] for what is no plain file, no UTF-8, or no whole number of tokens.
    pub(super) fn open(path: &Path, unit: Unit) -> Result<(Self, BTreeSet<char>)> {
        let file = Plain::open(path)?;
        let end = file.size();
        let mut row = Self {
            file,
            unit,
            begin: 0,
            end,
            marks: vec![],
            len: 0,
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
            return Err(TrainError::data(self.file.path(), "", message));
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
        self.file.bytes(from, to)
    }

    /// What is told where the file is no longer what it was.
    pub(super) fn changed(&self) -> TrainError {
        self.file.changed()
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
        Err(no_text(self.file.path(), at, line))
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
        self.file.path()
    }

    /// The most bytes that were read at once.
    #[cfg(test)]
    pub(super) fn most(&self) -> &std::sync::atomic::AtomicUsize {
        &self.file.most
    }
}
