//! What a model is trained on.
//!
//! A [`Task`] gives batches of samples by their index. A sample is a pure function of (seed, split, index): the
//! position in the data is one number, and a resumed run, another batch size or more threads see the same samples.

mod batch;
mod cut;
mod digest;
mod disk;
mod formal;
mod memory;
mod range;
mod row;
mod selective_copying;
mod sequences;
mod streams;
mod text;
mod windows;

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

pub use batch::{Batch, Input, Targets};
pub use digest::DataDigest;
pub use formal::{Formal, FormalOptions, Language};
pub use range::FARTHEST;
pub use selective_copying::{SelectiveCopying, SelectiveCopyingOptions};
pub use sequences::{Sequences, SequencesOptions};
pub use streams::Piece;
pub use text::{Text, TextOptions, TextTokens};

use disk::FromDisk;

use crate::data::{Normalisation, Vocabulary};
use crate::error::{Result, TrainError};

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For the optimizer. Endless: after the last sample of a file a new order begins.
    Train,
    /// For choosing the best checkpoint.
    Validation,
    /// For the final figure.
    Test,
}

impl Split {
    /// The name in messages and in the domains of random numbers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// What a model must be like to fit a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskShape {
    /// What goes in.
    pub input: graph::Input,
    /// What comes out: of logits the loss is the cross-entropy, of values the squared error.
    pub output: OutputKind,
    /// C, how many classes or values there are.
    pub width: usize,
    /// A target for each step (head `per_step`), else one for each sequence (head `last`).
    pub per_step: bool,
}

/// By which statistics a model normalises; `None`: mean 0, standard deviation 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scales<'a> {
    /// Means, one a column.
    pub mean: Option<&'a [f32]>,
    /// Standard deviations, one a column.
    pub std: Option<&'a [f32]>,
}

/// Samples by index.
pub trait Task: Send + Sync + std::fmt::Debug {
    /// What a model must be like.
    fn shape(&self) -> TaskShape;

    /// How many samples a split has. [`Split::Train`] is endless: the number is that of one pass, or `None` where
    /// every sample is new. Validation and test have a fixed number; 0 means there is no such part.
    fn len(&self, split: Split) -> Option<u64>;

    /// The samples `first..first + count` of a split, padded to the longest of them.
    ///
    /// # Errors
    /// [`TrainError::Config`] if `count` is 0, or goes beyond the end of validation or test.
    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch>;

    /// Steps of one pass over the training part, cut into so many streams side by side that are read piece by piece; 0 where they are
    /// shorter than a piece. `None`: its samples are no pieces of streams.
    fn pass(&self, streams: usize) -> Option<u64> {
        let _ = streams;
        None
    }

    /// Whether the streams of a piece begin with it, all of them.
    fn begins(&self, piece: Piece) -> bool {
        piece.at == 0
    }

    /// The next piece of each stream: the first step of the piece at `at + 1` follows the last one of the piece at `at`, unless streams begin with it
    /// ([`Task::begins`]).
    ///
    /// # Errors
    /// [`TrainError::Config`] for a task without streams, or beyond the end of a pass.
    fn pieces(&self, piece: Piece) -> Result<Batch> {
        let _ = piece;
        Err(TrainError::config("task", "has no streams"))
    }

    /// T of the longest sample, steps.
    ///
    /// # Errors
    /// Those of [`Task::batch`].
    fn longest(&self) -> Result<usize> {
        Ok(self.batch(Split::Train, 0, 1)?.time)
    }

    /// The tokens of a text task, where it is known what they stand for.
    fn vocabulary(&self) -> Option<&Vocabulary> {
        None
    }

    /// From here on the characters of a text have the numbers that they have in `vocabulary`: that of a checkpoint. Tokens of other
    /// kinds have theirs already.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming a character that is not in it; a task without tokens that stand for something, or with others.
    fn adopt_vocabulary(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        let message = format!(
            "has {} tokens, but what those of the task stand for is not known",
            vocabulary.len()
        );
        Err(TrainError::config("vocabulary", message))
    }

    /// What tells its data from others; `None` where that is not known.
    fn digest(&self) -> Option<DataDigest> {
        None
    }

    /// Statistics of the training part's features; to be buffers of the model, which the task does not apply.
    fn normalisation(&self) -> Option<&Normalisation> {
        None
    }

    /// Statistics of the training part's real targets, `[C]`; to be buffers of the model, which the task does not apply. `None`: the
    /// model's values are those of the data.
    fn target_normalisation(&self) -> Option<&Normalisation> {
        None
    }

    /// Name of each feature, `[F]`, where the data has names.
    fn feature_names(&self) -> Option<&[String]> {
        None
    }

    /// Name of each class or real target, `[C]`, where the data has names.
    fn target_names(&self) -> Option<&[String]> {
        None
    }

    /// Whether float32 can compute with all values of all parts where a model normalises them by these statistics.
    ///
    /// # Errors
    /// [`TrainError::Data`] with the sequence, the step and the column of the first value that is too large.
    fn check_values(&self, features: Scales, targets: Scales) -> Result<()> {
        let _ = (features, targets);
        Ok(())
    }

    /// What is doubtful about the data, a line each, to be shown before a training.
    fn warnings(&self) -> &[String] {
        &[]
    }
}

/// The ranges (first, count) that cover all samples of an evaluation split, in order, `batch` at a time.
pub fn eval_ranges(
    task: &dyn Task,
    split: Split,
    batch: usize,
) -> impl Iterator<Item = (u64, usize)> + use<> {
    let total = if split == Split::Train {
        0
    } else {
        task.len(split).unwrap_or(0)
    };
    let step = batch.max(1) as u64;
    (0..total.div_ceil(step)).map(move |i| (i * step, (total - i * step).min(step) as usize))
}

/// A task as written in a configuration: `kind` and the options of that kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "a run has one")]
pub enum TaskConfig {
    /// Remember the data tokens among noise.
    SelectiveCopying(SelectiveCopyingOptions),
    /// The next character of a text.
    Text(TextOptions),
    /// Labels of feature sequences.
    Sequences(SequencesOptions),
    /// What a machine with a memory says of a string.
    FormalLanguage(FormalOptions),
}

impl TaskConfig {
    /// The same task with all of its data as its test part too, to be measured whole; a task without files is as it was.
    pub fn whole(mut self) -> Self {
        match &mut self {
            Self::SelectiveCopying(_) | Self::FormalLanguage(_) => {}
            Self::Text(options) => options.whole = true,
            Self::Sequences(options) => options.whole = true,
        }
        self
    }

    /// The same task with the tokenizer that a checkpoint of it carries, so that its file need not be there; a task without a tokenizer
    /// is as it was.
    ///
    /// # Errors
    /// [`TrainError::Config`] for what is no tokenizer.
    pub fn carrying(mut self, vocabulary: &minrnn_model::vocabulary::Vocabulary) -> Result<Self> {
        use minrnn_model::vocabulary::Vocabulary as Plain;
        if let (Self::Text(options), Plain::Tokenizer(_)) = (&mut self, vocabulary)
            && options.tokenizer.is_some()
        {
            options.carried = Some(crate::data::Vocabulary::of(vocabulary)?);
        }
        Ok(self)
    }

    /// Reads the files and checks the options. `seed` decides the order and the content of training samples.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Io`], [`TrainError::Data`].
    pub fn open(&self, seed: u64) -> Result<Box<dyn Task>> {
        self.open_within(seed, None)
    }

    /// The same where no more than `memory` bytes may be taken (`None`: any number).
    ///
    /// # Errors
    /// As [`TaskConfig::open`]; [`TrainError::Data`] for files that need more, before they are read.
    pub fn open_within(&self, seed: u64, memory: Option<u64>) -> Result<Box<dyn Task>> {
        self.check_reading(memory)?;
        Ok(match self {
            Self::SelectiveCopying(options) => Box::new(SelectiveCopying::new(options, seed)?),
            Self::Text(options) if options.from_disk => Box::new(FromDisk::open(options, seed)?),
            Self::Text(options) => Box::new(Text::open(options, seed)?),
            Self::Sequences(options) => Box::new(Sequences::open(options, seed)?),
            Self::FormalLanguage(options) => Box::new(Formal::new(options, seed)?),
        })
    }
}

/// Values of one tensor of a batch; more is a slip of the keyboard rather than a wish.
const MAX_VALUES: usize = 1 << 31;

/// Refuses batches of `count` samples with `each` values that no memory holds.
fn check_memory(count: usize, each: usize) -> Result<()> {
    match count.checked_mul(each) {
        Some(values) if values <= MAX_VALUES => Ok(()),
        _ => {
            let message = format!(
                "{count} samples of {each} values are too many (limit {MAX_VALUES} values)"
            );
            Err(TrainError::config("batch", message))
        }
    }
}

/// Refuses empty batches and samples beyond the end of an evaluation split.
fn check_range(task: &dyn Task, split: Split, first: u64, count: usize) -> Result<()> {
    if count == 0 {
        return Err(TrainError::config("batch", "is 0, expected at least 1"));
    }
    let end = first.checked_add(count as u64);
    let total = if split == Split::Train {
        None
    } else {
        task.len(split)
    };
    match (end, total) {
        (Some(end), Some(total)) if end > total => {
            let message = format!(
                "samples {first}..{end} are asked for, the {} part has {total}",
                split.name()
            );
            Err(TrainError::config("batch", message))
        }
        (None, _) => Err(TrainError::config(
            "batch",
            format!("sample number {first} is too large"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
