//! Selective copying: data tokens are scattered over noise; after the sequence they must be said in order.
//! The setting of "Were RNNs All We Needed?" (arXiv 2410.01201): 16 tokens, 16 data tokens, length 4096.

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

use super::{
    Batch, DataDigest, Input, Split, Targets, Task, TaskShape, check_memory, check_range,
    digest::Hasher,
};
use crate::data::SampleRng;
use crate::error::{Result, TrainError};

/// Options of [`SelectiveCopying`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectiveCopyingOptions {
    /// Tokens before the markers. The input has `length + data_tokens` steps.
    pub length: usize,
    /// Tokens to remember.
    pub data_tokens: usize,
    /// Different tokens: 0 is the marker, `vocab - 1` the noise, those between are data.
    pub vocab: usize,
    /// Samples of the validation part, and of the test part.
    pub eval_samples: u64,
}

impl Default for SelectiveCopyingOptions {
    fn default() -> Self {
        Self {
            length: 4096,
            data_tokens: 16,
            vocab: 16,
            eval_samples: 1024,
        }
    }
}

/// The largest length: state and token counts stay far from the limits of u32.
const MAX_LENGTH: usize = 1 << 24;

/// The task. Training samples are always new; validation and test have streams of their own that do not depend on
/// the seed of the training.
#[derive(Debug, Clone)]
pub struct SelectiveCopying {
    options: SelectiveCopyingOptions,
    seed: u64,
}

impl SelectiveCopying {
    /// Checks the options.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn new(options: &SelectiveCopyingOptions, seed: u64) -> Result<Self> {
        let SelectiveCopyingOptions {
            length,
            data_tokens,
            vocab,
            eval_samples,
        } = *options;
        let bad = |field: &str, found: usize, wanted: String| {
            Err(TrainError::config(
                field,
                format!("is {found}, expected {wanted}"),
            ))
        };
        if !(1..=MAX_LENGTH).contains(&length) {
            return bad("length", length, format!("1 to {MAX_LENGTH}"));
        }
        if !(1..=length).contains(&data_tokens) {
            return bad(
                "data_tokens",
                data_tokens,
                format!("1 to length = {length}"),
            );
        }
        if !(3..=1 << 20).contains(&vocab) {
            return bad(
                "vocab",
                vocab,
                "3 (marker, one data token, noise) to 1048576".to_owned(),
            );
        }
        if eval_samples == 0 {
            return bad("eval_samples", 0, "at least 1".to_owned());
        }
        Ok(Self {
            options: options.clone(),
            seed,
        })
    }

    /// Steps of the input.
    pub fn time(&self) -> usize {
        self.options.length + self.options.data_tokens
    }

    /// Appends one sample to `ids` and `targets`.
    fn sample(&self, split: Split, index: u64, ids: &mut Vec<u32>, targets: &mut Vec<u32>) {
        let SelectiveCopyingOptions {
            length,
            data_tokens,
            vocab,
            ..
        } = self.options;
        let seed = if split == Split::Train { self.seed } else { 0 };
        let mut rng = SampleRng::new(seed, &format!("copying {}", split.name()), index);
        let start = ids.len();
        ids.resize(start + length, vocab as u32 - 1);
        targets.resize(targets.len() + length, 0);
        for position in positions(&mut rng, length, data_tokens) {
            let token = 1 + rng.below(vocab as u64 - 2) as u32;
            ids[start + position] = token;
            targets.push(token);
        }
        ids.resize(start + self.time(), 0);
    }
}

/// `count` different positions below `length`, ascending, every choice equally likely (Floyd's method).
fn positions(
    rng: &mut SampleRng,
    length: usize,
    count: usize,
) -> std::collections::BTreeSet<usize> {
    let mut chosen = std::collections::BTreeSet::new();
    for last in length - count..length {
        let candidate = rng.below(last as u64 + 1) as usize;
        if !chosen.insert(candidate) {
            chosen.insert(last);
        }
    }
    chosen
}

impl Task for SelectiveCopying {
    fn shape(&self) -> TaskShape {
        let vocab = self.options.vocab;
        TaskShape {
            input: graph::Input::Tokens { vocab },
            output: OutputKind::Logits,
            width: vocab,
            per_step: true,
        }
    }

    fn len(&self, split: Split) -> Option<u64> {
        (split != Split::Train).then_some(self.options.eval_samples)
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, self.time())?;
        let (time, answer) = (self.time(), self.options.data_tokens);
        let (mut ids, mut targets) = (
            Vec::with_capacity(count * time),
            Vec::with_capacity(count * time),
        );
        for index in first..first + count as u64 {
            self.sample(split, index, &mut ids, &mut targets);
        }
        let counts = |step: usize| f32::from(u8::from(step % time >= time - answer));
        Ok(Batch {
            batch: count,
            time,
            input: Input::Tokens { ids },
            targets: Targets::Classes {
                ids: targets,
                per_step: true,
            },
            weights: Some((0..count * time).map(counts).collect()),
            lens: None,
            reset: None,
        })
    }

    /// Of the options and the seed, from which the samples follow. The validation part is a stream, of which
    /// `eval_samples` tells how much is used.
    fn digest(&self) -> Option<DataDigest> {
        let part = |split: Split, seed: u64| {
            let mut hasher = Hasher::new("selective_copying");
            hasher.text(split.name());
            for option in [
                self.options.length,
                self.options.data_tokens,
                self.options.vocab,
            ] {
                hasher.number(option as u64);
            }
            hasher.number(seed);
            hasher.finish()
        };
        Some(DataDigest {
            train: part(Split::Train, self.seed),
            validation: part(Split::Validation, 0),
        })
    }
}
