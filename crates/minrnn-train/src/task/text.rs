//! The next character of a text file.

mod tokens;

use std::path::{Path, PathBuf};

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

use super::{
    Batch, DataDigest, Input, Split, Targets, Task, TaskShape, check_memory, check_range,
    digest::Hasher,
};
use crate::data::{SampleRng, Vocabulary};
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
    /// All of the file is the test part, and the training part too.
    #[serde(skip)]
    pub(crate) whole: bool,
}

fn tenth() -> f64 {
    0.1
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
        if *seq_len == 0 {
            return Err(TrainError::config("seq_len", "is 0, expected at least 1"));
        }
        if !(*validation_fraction > 0.0 && *validation_fraction < 1.0) {
            let message = format!("is {validation_fraction}, expected more than 0 and less than 1");
            return Err(TrainError::config("validation_fraction", message));
        }
        let Tokens {
            ids,
            vocabulary,
            count,
            warnings,
        } = tokens::read(options)?;
        let unit = vocabulary.as_ref().map_or("token", Vocabulary::unit);
        let train = match *whole {
            true => ids.len(),
            false => (ids.len() as f64 * (1.0 - validation_fraction)) as usize,
        };
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
        let t = self.seq_len;
        if split == Split::Train {
            let mut rng = SampleRng::new(self.seed, "text train", index);
            let start = rng.below((self.train - t) as u64) as usize;
            return &self.ids[start..=start + t];
        }
        let part = match split {
            Split::Test => &self.ids[..],
            _ => &self.ids[self.train..],
        };
        let start = index as usize * t;
        &part[start..(start + t + 1).min(part.len())]
    }
}

/// Of one token nothing is predicted.
fn check_whole(path: &Path, tokens: usize, unit: &str) -> Result<()> {
    if tokens >= 2 {
        return Ok(());
    }
    let message = format!("the file is too small: {tokens} {unit}s; it needs at least 2");
    Err(TrainError::data(path, "", message))
}

fn check_sizes(
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
        let predicted = match split {
            Split::Train => self.train - 1,
            Split::Test if self.whole => self.ids.len() - 1,
            Split::Validation => (self.ids.len() - self.train).saturating_sub(1),
            Split::Test => 0,
        };
        Some(predicted.div_ceil(self.seq_len) as u64)
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, self.seq_len)?;
        let windows: Vec<&[u32]> = (first..first + count as u64)
            .map(|i| self.window(split, i))
            .collect();
        let lens: Vec<usize> = windows.iter().map(|w| w.len() - 1).collect();
        let time = lens.iter().copied().max().unwrap_or(1);
        let (mut ids, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (window, len) in windows.iter().zip(&lens) {
            let padding = std::iter::repeat_n(0, time - len);
            ids.extend(window[..*len].iter().copied().chain(padding.clone()));
            targets.extend(window[1..].iter().copied().chain(padding));
            weights.extend((0..time).map(|step| f32::from(u8::from(step < *len))));
        }
        let ragged = lens.iter().any(|len| *len != time);
        Ok(Batch {
            batch: count,
            time,
            input: Input::Tokens { ids },
            targets: Targets::Classes {
                ids: targets,
                per_step: true,
            },
            weights: ragged.then_some(weights),
            lens: ragged.then(|| lens.iter().map(|len| *len as u32).collect()),
            reset: None,
        })
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
