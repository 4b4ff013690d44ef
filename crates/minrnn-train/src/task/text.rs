//! The next character of a text file.

pub(super) mod tokens;

use std::path::{Path, PathBuf};

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

use super::{
    Batch, DataDigest, Piece, Split, Task, TaskShape, check_memory, check_range, cut::Cut,
    digest::Hasher, windows,
};
use crate::data::Vocabulary;
use crate::error::{Result, TrainError};
pub use tokens::TextTokens;
use tokens::Tokens;

/// Options of [`Text`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// A UTF-8 file, or what `tokens` says.
    pub path: PathBuf,
    /// Tokens of a window, T.
    pub seq_len: usize,
    /// What a token is; left out: a character, or with `tokenizer` a piece of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TextTokens>,
    /// A `tokenizer.json` of the tokenizers library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// V, where the file has token numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// The end of the file that is kept for validation.
    #[serde(default = "tenth")]
    pub validation_fraction: f64,
    /// Whether pieces of the file are read as they are needed, in the place of the whole file before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_disk: bool,
    /// What `tokenizer` was when a checkpoint was made, in the place of its file.
    #[serde(skip)]
    pub(crate) carried: Option<Vocabulary>,
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
/// predict every token of the last part but its first one exactly once; the last window may be shorter.
/// There is no test part, unless all of the file is one: then its windows follow each other as those of validation do.
#[derive(Debug, Clone)]
pub struct Text {
    vocabulary: Option<Vocabulary>,
    /// V.
    count: usize,
    /// The whole file; the first `train` tokens are for training.
    pub(super) ids: Vec<u32>,
    train: usize,
    whole: bool,
    seq_len: usize,
    seed: u64,
    warnings: Vec<String>,
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
        let Tokens {
            ids,
            vocabulary,
            count,
            warnings,
        } = tokens::read(options)?;
        let unit = vocabulary.as_ref().map_or("token", Vocabulary::unit);
        let train = Cut::train(ids.len(), *validation_fraction, *whole);
        match *whole {
            true => check_whole(path, ids.len(), unit)?,
            false => check_sizes(path, (train, ids.len() - train), *seq_len, unit)?,
        }
        Ok(Self {
            vocabulary,
            count,
            ids,
            train,
            whole: *whole,
            seq_len: *seq_len,
            seed,
            warnings,
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

    /// The hash of some of the tokens; of characters whatever their numbers.
    fn digest_of(&self, ids: &[u32]) -> String {
        let characters = self.vocabulary.as_ref().and_then(Vocabulary::characters);
        let mut hasher = Hasher::new(characters.map_or("tokens", |_| "text"));
        for part in ids.chunks(1 << 16) {
            let Some(tokens) = characters else {
                hasher.words(part.iter().copied());
                continue;
            };
            let text: String = part
                .iter()
                .map(|id| tokens[*id as usize].as_str())
                .collect();
            hasher.text(&text);
        }
        hasher.finish()
    }

    /// The window of a sample: at most T + 1 tokens, the inputs and, one later, the targets.
    fn window(&self, split: Split, index: u64) -> &[u32] {
        &self.ids[self.cut().range(split, index)]
    }
}

/// Of one token nothing is predicted.
pub(super) fn check_whole(path: &Path, tokens: usize, unit: &str) -> Result<()> {
    if tokens >= 2 {
        return Ok(());
    }
    let message = format!("the file is too small: {tokens} {unit}s; it needs at least 2");
    Err(TrainError::data(path, "", message))
}

pub(super) fn check_sizes(
    path: &Path,
    (train, validation): (usize, usize),
    seq_len: usize,
    unit: &str,
) -> Result<()> {
    let parts = format!("{train} {unit}s for training and {validation} for validation");
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
        let vocab = self.count;
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
        self.vocabulary.as_ref()
    }

    /// Tokens that are no characters have their numbers already.
    fn adopt_vocabulary(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        let own = self.vocabulary.as_ref();
        if own == Some(vocabulary) {
            return Ok(());
        }
        let both = own
            .and_then(Vocabulary::characters)
            .zip(vocabulary.characters());
        let Some((own, _)) = both else {
            let message = "is another one than that of the text, whose tokens have their numbers";
            return Err(TrainError::config("vocabulary", message));
        };
        let numbers = vocabulary.encode(&own.concat())?;
        self.ids
            .iter_mut()
            .for_each(|id| *id = numbers[*id as usize]);
        self.count = vocabulary.len();
        self.vocabulary = Some(vocabulary.clone());
        Ok(())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn digest(&self) -> Option<DataDigest> {
        let (train, validation) = self.ids.split_at(self.train);
        Some(DataDigest {
            train: self.digest_of(train),
            validation: self.digest_of(validation),
        })
    }
}
