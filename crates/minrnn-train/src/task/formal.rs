//! Formal languages: a string by chance, and what a machine with a memory says of it. The tasks are those of "Neural Networks and the
//! Chomsky Hierarchy" (arXiv 2207.02098) as "Were RNNs All We Needed?" takes them, and the word problem of the group S3.

mod language;

use minrnn_model::graph::{self, OutputKind};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use language::Language;

use super::{
    Batch, DataDigest, Input, Split, Targets, Task, TaskShape, check_memory, check_range,
    digest::Hasher,
};
use crate::data::SampleRng;
use crate::error::{Result, TrainError};

/// Options of [`Formal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormalOptions {
    /// What is asked of a string.
    pub language: Language,
    /// Shortest and longest string of the training part, symbols; each length is as likely as the others.
    #[serde(default = "train_length", deserialize_with = "two")]
    pub length: [usize; 2],
    /// The same of the validation part and of the test part.
    #[serde(default = "eval_length", deserialize_with = "two")]
    pub eval_length: [usize; 2],
    /// Samples of the validation part, and of the test part.
    #[serde(default = "eval_samples")]
    pub eval_samples: u64,
}

/// Two numbers and no third one, which a reader of arrays may leave unread.
fn two<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<[usize; 2], D::Error> {
    let all = Vec::<usize>::deserialize(from)?;
    let count = all.len();
    all.try_into()
        .map_err(|_| D::Error::invalid_length(count, &"two numbers, the shortest and the longest"))
}

fn train_length() -> [usize; 2] {
    [1, 40]
}

fn eval_length() -> [usize; 2] {
    [40, 256]
}

fn eval_samples() -> u64 {
    2048
}

/// The longest string: batches stay far from the limits of u32.
const LONGEST: usize = 1 << 20;

/// The task. Training samples are always new; validation and test have streams of their own that do not depend on the seed of the
/// training. A batch is as long as the longest sample that a part may have, so that all batches of a part have one shape.
#[derive(Debug, Clone)]
pub struct Formal {
    options: FormalOptions,
    seed: u64,
}

impl Formal {
    /// Checks the options.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn new(options: &FormalOptions, seed: u64) -> Result<Self> {
        for (field, [short, long]) in [
            ("length", options.length),
            ("eval_length", options.eval_length),
        ] {
            if short == 0 || short > long || long > LONGEST {
                let message = format!(
                    "is [{short}, {long}], expected the shortest and the longest string, 1 to {LONGEST} symbols, the shortest first"
                );
                return Err(TrainError::config(field, message));
            }
        }
        if options.eval_samples == 0 {
            return Err(TrainError::config(
                "eval_samples",
                "is 0, expected at least 1",
            ));
        }
        Ok(Self {
            options: options.clone(),
            seed,
        })
    }

    fn lengths(&self, split: Split) -> [usize; 2] {
        match split {
            Split::Train => self.options.length,
            _ => self.options.eval_length,
        }
    }

    /// A sample: what goes in, and the labels, of the last steps that there is one for.
    fn sample(&self, split: Split, index: u64) -> (Vec<u32>, Vec<u32>) {
        let seed = if split == Split::Train { self.seed } else { 0 };
        let mut rng = SampleRng::new(seed, &format!("formal {}", split.name()), index);
        let [short, long] = self.lengths(split);
        let length = short + rng.below((long - short) as u64 + 1) as usize;
        self.options.language.sample(length, &mut rng)
    }
}

impl Task for Formal {
    fn shape(&self) -> TaskShape {
        let language = self.options.language;
        TaskShape {
            input: graph::Input::Tokens {
                vocab: language.tokens(),
            },
            output: OutputKind::Logits,
            width: language.classes(),
            per_step: language.is_per_step(),
        }
    }

    fn len(&self, split: Split) -> Option<u64> {
        (split != Split::Train).then_some(self.options.eval_samples)
    }

    fn longest(&self) -> Result<usize> {
        let longest = self.options.length[1].max(self.options.eval_length[1]);
        Ok(self.options.language.steps(longest))
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        let language = self.options.language;
        let time = language.steps(self.lengths(split)[1]);
        check_memory(count, time)?;
        let per_step = language.is_per_step();
        let mut ids = vec![0; count * time];
        let mut lens = Vec::with_capacity(count);
        let mut targets = vec![0; if per_step { count * time } else { count }];
        let mut weights = vec![0.0; if per_step { count * time } else { 0 }];
        for row in 0..count {
            let (input, labels) = self.sample(split, first + row as u64);
            let steps = input.len();
            ids[row * time..][..steps].copy_from_slice(&input);
            lens.push(steps as u32);
            if per_step {
                let places = row * time + steps - labels.len()..row * time + steps;
                targets[places.clone()].copy_from_slice(&labels);
                weights[places].fill(1.0);
            } else {
                targets[row] = labels[0];
            }
        }
        Ok(Batch {
            batch: count,
            time,
            input: Input::Tokens { ids },
            targets: Targets::Classes {
                ids: targets,
                per_step,
            },
            weights: per_step.then_some(weights),
            lens: Some(lens),
            reset: None,
        })
    }

    /// Of the language, the lengths and the seed, from which the samples follow.
    fn digest(&self) -> Option<DataDigest> {
        let part = |split: Split, seed: u64| {
            let mut hasher = Hasher::new("formal_language");
            hasher.text(split.name());
            hasher.text(self.options.language.name());
            self.lengths(split)
                .iter()
                .for_each(|n| hasher.number(*n as u64));
            hasher.number(seed);
            hasher.finish()
        };
        Some(DataDigest {
            train: part(Split::Train, self.seed),
            validation: part(Split::Validation, 0),
        })
    }
}

#[cfg(test)]
mod length_tests {
    use super::FormalOptions;

    #[test]
    fn a_length_is_two_numbers() {
        let read = |length: &str| {
            let text = format!("language = 'parity'\nlength = {length}\n");
            toml::from_str::<FormalOptions>(&text).map_err(|e| e.to_string())
        };
        assert_eq!(read("[1, 40]").unwrap().length, [1, 40]);
        for bad in ["[1, 40, 256]", "[1]"] {
            let error = read(bad).unwrap_err();
            assert!(error.contains("two numbers"), "{error}");
        }
    }
}
