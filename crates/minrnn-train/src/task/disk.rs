//! A text that is larger than the memory: its file is gone through once, then pieces of it are read as they are needed.

use std::ops::Range;

use minrnn_model::graph::{self, OutputKind};

use super::cut::Cut;
use super::digest::Hasher;
use super::row::{Row, Unit};
use super::text::tokens::{self, Halves, Kind as Tokens};
use super::text::{check_sizes, check_whole};
use super::{
    Batch, DataDigest, Piece, Split, Task, TaskShape, TextOptions, check_memory, check_range,
    windows,
};
use crate::data::Vocabulary;
use crate::error::{Result, TrainError};

/// Tokens of a piece while their hash is made: that of the task that has the file in memory.
const PART: usize = 1 << 16;

/// The task [`Text`](super::Text) with its file on disk: the same samples, the same numbers, the same hash.
#[derive(Debug)]
pub(super) struct FromDisk {
    row: Row,
    /// What tokens stand for, where that is known.
    vocabulary: Option<Vocabulary>,
    /// V.
    count: usize,
    cut: Cut,
    digest: DataDigest,
    warnings: Vec<String>,
}

impl FromDisk {
    /// Goes through the file of a text task.
    ///
    /// # Errors
    /// Those of [`Text::open`](super::Text::open); [`TrainError::Data`] for what is no plain file.
    pub(super) fn open(options: &TextOptions, seed: u64) -> Result<Self> {
        options.check()?;
        let open = |unit| Row::open(&options.path, unit);
        let (row, vocabulary, count) = match tokens::kind(options)? {
            Tokens::Characters => {
                let (row, characters) = open(Unit::Characters)?;
                let vocabulary = Vocabulary::of_text(&String::from_iter(characters));
                let count = vocabulary.len();
                (row, Some(vocabulary), count)
            }
            Tokens::Bytes => {
                let vocabulary = Vocabulary::bytes();
                let count = vocabulary.len();
                (open(Unit::Numbers(1))?.0, Some(vocabulary), count)
            }
            Tokens::Numbers {
                width,
                pieces,
                count,
            } => (open(Unit::Numbers(width))?.0, pieces, count),
            Tokens::Pieces(_) => {
                let message = "reads characters, bytes or token numbers by pieces, and a tokenizer wants the whole text: \
                               write its numbers to a file (task.tokens = \"u16\"), or leave from_disk out";
                return Err(TrainError::config("from_disk", message));
            }
        };
        Self::of(row, (vocabulary, count), options, seed)
    }

    /// The task of a row whose tokens are below `count`.
    pub(super) fn of(
        row: Row,
        (vocabulary, count): (Option<Vocabulary>, usize),
        options: &TextOptions,
        seed: u64,
    ) -> Result<Self> {
        let TextOptions { path, seq_len, .. } = options;
        let (len, whole) = (row.len(), options.whole);
        let train = Cut::train(len, options.validation_fraction, whole);
        let unit = vocabulary.as_ref().map_or("token", Vocabulary::unit);
        match whole {
            true => check_whole(path, len, unit)?,
            false => check_sizes(path, (train, len - train), *seq_len, unit)?,
        }
        let cut = Cut {
            len,
            train,
            whole,
            seq_len: *seq_len,
            seed,
        };
        let mut task = Self {
            row,
            vocabulary,
            count,
            cut,
            digest: DataDigest {
                train: String::new(),
                validation: String::new(),
            },
            warnings: vec![],
        };
        let mut halves = Halves::default();
        task.digest = DataDigest {
            train: task.digest_of(0..train, &mut halves)?,
            validation: task.digest_of(train..len, &mut halves)?,
        };
        if let Unit::Numbers(width) = task.row.unit() {
            task.warnings.extend(halves.warning(width));
        }
        Ok(task)
    }

    /// The hash of some of the tokens; of characters whatever their numbers. Holds numbers to their bound on the way.
    fn digest_of(&self, range: Range<usize>, halves: &mut Halves) -> Result<String> {
        let is_text = self.row.unit() == Unit::Characters;
        let mut hasher = Hasher::new(if is_text { "text" } else { "tokens" });
        for from in range.clone().step_by(PART) {
            let part = from..range.end.min(from + PART);
            match is_text {
                true => hasher.text(&self.row.text(part)?),
                false => {
                    let ids = self.ids(part.clone())?;
                    halves.see(part.start, &ids);
                    hasher.words(ids.into_iter());
                }
            }
        }
        Ok(hasher.finish())
    }

    /// The numbers of some tokens.
    fn ids(&self, range: Range<usize>) -> Result<Vec<u32>> {
        let Unit::Numbers(width) = self.row.unit() else {
            let text = self.row.text(range)?;
            let words = self.vocabulary.as_ref().map(|words| words.encode(&text));
            return words.and_then(Result::ok).ok_or_else(|| self.row.changed());
        };
        let ids = self.row.numbers(range.clone())?;
        match ids.iter().position(|id| *id as usize >= self.count) {
            None => Ok(ids),
            Some(i) => {
                let (at, bits) = (range.start + i, 8 * width);
                Err(TrainError::data(
                    self.row.path(),
                    format!("token {at} (byte {})", at * width),
                    format!(
                        "is {}, and there are {} tokens, numbered from 0; is the file of u{bits} in little-endian order?",
                        ids[i], self.count
                    ),
                ))
            }
        }
    }

    fn windows(&self, ranges: impl Iterator<Item = Range<usize>>) -> Result<Batch> {
        let windows = ranges.map(|range| self.ids(range));
        Ok(windows::batch(&windows.collect::<Result<Vec<_>>>()?))
    }

    /// Bytes of the file that are in memory as long as the task is.
    #[cfg(test)]
    pub(super) fn row(&self) -> &Row {
        &self.row
    }
}

/// The least memory that a file of so many bytes takes as it is read from disk.
pub(super) fn least(size: u64) -> u64 {
    // A place of 8 bytes for every 4096 characters, and two blocks on the way.
    size / 512 + 2 * super::row::BLOCK as u64
}

impl Task for FromDisk {
    fn shape(&self) -> TaskShape {
        TaskShape {
            input: graph::Input::Tokens { vocab: self.count },
            output: OutputKind::Logits,
            width: self.count,
            per_step: true,
        }
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.cut.samples(split))
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, self.cut.seq_len)?;
        let samples = first..first + count as u64;
        self.windows(samples.map(|i| self.cut.range(split, i)))
    }

    fn pass(&self, streams: usize) -> Option<u64> {
        Some(self.cut.streams().steps(streams))
    }

    fn pieces(&self, piece: Piece) -> Result<Batch> {
        check_memory(piece.streams, self.cut.seq_len)?;
        let starts = self.cut.streams().starts(piece)?.into_iter();
        self.windows(starts.map(|s| s..s + self.cut.seq_len + 1))
    }

    fn longest(&self) -> Result<usize> {
        Ok(self.cut.seq_len)
    }

    fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    fn adopt_vocabulary(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        if self.vocabulary.as_ref() == Some(vocabulary) {
            return Ok(());
        }
        let own = self.vocabulary.as_ref().and_then(Vocabulary::characters);
        let Some((own, _)) = own.zip(vocabulary.characters()) else {
            let message = "is another one than that of the text, whose tokens have their numbers";
            return Err(TrainError::config("vocabulary", message));
        };
        vocabulary.encode(&own.concat())?;
        self.count = vocabulary.len();
        self.vocabulary = Some(vocabulary.clone());
        Ok(())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn digest(&self) -> Option<DataDigest> {
        Some(self.digest.clone())
    }
}
