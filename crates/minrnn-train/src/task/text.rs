//! The next character of a text file.

use std::path::{Path, PathBuf};

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

use super::{
    Batch, DataDigest, Piece, Split, Task, TaskShape, check_memory, check_range, cut::Cut,
    digest::Hasher, windows,
};
use crate::data::{Vocabulary, read_data};
use crate::error::{Result, TrainError};

/// Options of [`Text`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// A UTF-8 file.
    pub path: PathBuf,
    /// Characters of a window, T.
    pub seq_len: usize,
    /// The end of the file that is kept for validation.
    #[serde(default = "tenth")]
    pub validation_fraction: f64,
    /// Whether pieces of the file are read as they are needed, in the place of the whole file before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_disk: bool,
    /// All of the file is the test part, and the training part too.
    #[serde(skip)]
    pub(crate) whole: bool,
}

fn tenth() -> f64 {
    0.1
}

impl TextOptions {
    /// What needs no file to be known.
    pub(super) fn check(&self) -> Result<()> {
        if self.seq_len == 0 {
            return Err(TrainError::config("seq_len", "is 0, expected at least 1"));
        }
        let fraction = self.validation_fraction;
        if !(fraction > 0.0 && fraction < 1.0) {
            let message = format!("is {fraction}, expected more than 0 and less than 1");
            return Err(TrainError::config("validation_fraction", message));
        }
        Ok(())
    }
}

/// The task. Training: windows from anywhere in the first part. Validation: windows one after the other that
/// predict every character of the last part but its first one exactly once; the last window may be shorter.
/// There is no test part, unless all of the file is one: then its windows follow each other as those of validation do.
#[derive(Debug, Clone)]
pub struct Text {
    vocabulary: Vocabulary,
    /// The whole file; the first `train` characters are for training.
    ids: Vec<u32>,
    train: usize,
    whole: bool,
    seq_len: usize,
    seed: u64,
}

impl Text {
    /// Reads the file.
    ///
    /// # Errors
    /// [`TrainError::Config`]; [`TrainError::Io`]; [`TrainError::Data`] if the file is not UTF-8 or too small.
    pub fn open(options: &TextOptions, seed: u64) -> Result<Self> {
        let TextOptions {
            path,
            seq_len,
            validation_fraction,
            whole,
            ..
        } = options;
        options.check()?;
        let text = read_text(path)?;
        let vocabulary = Vocabulary::of_text(&text);
        let ids = vocabulary.encode(&text)?;
        let train = Cut::train(ids.len(), *validation_fraction, *whole);
        match *whole {
            true => check_whole(path, ids.len())?,
            false => check_sizes(path, train, ids.len() - train, *seq_len)?,
        }
        Ok(Self {
            vocabulary,
            ids,
            train,
            whole: *whole,
            seq_len: *seq_len,
            seed,
        })
    }

    fn cut(&self) -> Cut {
        Cut {
            len: self.ids.len(),
            train: self.train,
            whole: self.whole,
            seq_len: self.seq_len,
            seed: self.seed,
        }
    }

    /// The hash of some of the characters, whatever their numbers.
    fn digest_of(&self, ids: &[u32]) -> String {
        let mut hasher = Hasher::new("text");
        for part in ids.chunks(1 << 16) {
            let tokens = self.vocabulary.tokens();
            let text: String = part
                .iter()
                .map(|id| tokens[*id as usize].as_str())
                .collect();
            hasher.text(&text);
        }
        hasher.finish()
    }

    /// The window of a sample: at most T + 1 characters, the inputs and, one later, the targets.
    fn window(&self, split: Split, index: u64) -> &[u32] {
        &self.ids[self.cut().range(split, index)]
    }
}

/// The file as text, or where it stops being UTF-8.
fn read_text(path: &Path) -> Result<String> {
    let mut bytes = read_data(path).map_err(TrainError::io("read", path))?;
    // A byte order mark says how the file is written, and is none of its characters.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        TrainError::data(
            path,
            format!("byte {at} (line {line})"),
            "is not UTF-8; convert the file first",
        )
    })
}

/// Of one character nothing is predicted.
pub(super) fn check_whole(path: &Path, characters: usize) -> Result<()> {
    if characters >= 2 {
        return Ok(());
    }
    let message = format!("the file is too small: {characters} characters; it needs at least 2");
    Err(TrainError::data(path, "", message))
}

pub(super) fn check_sizes(
    path: &Path,
    train: usize,
    validation: usize,
    seq_len: usize,
) -> Result<()> {
    let parts = format!("{train} characters for training and {validation} for validation");
    if train <= seq_len {
        let message = format!(
            "the file is too small: {parts}; seq_len = {seq_len} needs more than {seq_len} for training"
        );
        return Err(TrainError::data(path, "", message));
    }
    if validation < 2 {
        return Err(TrainError::data(
            path,
            "",
            format!("the file is too small: {parts}; validation needs at least 2"),
        ));
    }
    Ok(())
}

impl Task for Text {
    fn shape(&self) -> TaskShape {
        let vocab = self.vocabulary.len();
        TaskShape {
            input: graph::Input::Tokens { vocab },
            output: OutputKind::Logits,
            width: vocab,
            per_step: true,
        }
    }

    /// One pass of training is as many windows as cover the training part once.
    fn len(&self, split: Split) -> Option<u64> {
        Some(self.cut().samples(split))
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, self.seq_len)?;
        let windows: Vec<&[u32]> = (first..first + count as u64)
            .map(|i| self.window(split, i))
            .collect();
        Ok(windows::batch(&windows))
    }

    fn pass(&self, streams: usize) -> Option<u64> {
        Some(self.cut().streams().steps(streams))
    }

    fn pieces(&self, piece: Piece) -> Result<Batch> {
        check_memory(piece.streams, self.seq_len)?;
        let starts = self.cut().streams().starts(piece)?.into_iter();
        let windows: Vec<&[u32]> = starts.map(|s| &self.ids[s..=s + self.seq_len]).collect();
        Ok(windows::batch(&windows))
    }

    fn longest(&self) -> Result<usize> {
        Ok(self.seq_len)
    }

    fn vocabulary(&self) -> Option<&Vocabulary> {
        Some(&self.vocabulary)
    }

    fn adopt_vocabulary(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        let numbers = vocabulary.encode(&self.vocabulary.tokens().concat())?;
        self.ids
            .iter_mut()
            .for_each(|id| *id = numbers[*id as usize]);
        self.vocabulary = vocabulary.clone();
        Ok(())
    }

    fn digest(&self) -> Option<DataDigest> {
        let (train, validation) = self.ids.split_at(self.train);
        Some(DataDigest {
            train: self.digest_of(train),
            validation: self.digest_of(validation),
        })
    }
}
