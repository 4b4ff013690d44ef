//! Which tokens of a row each sample of a text is.

use std::ops::Range;

use super::Split;
use super::streams::Streams;
use crate::data::SampleRng;

/// A row of tokens in parts: the first `train` are for training, the rest for validation; all are the test part where `whole` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Tokens of the row.
    pub(super) len: usize,
    pub(super) train: usize,
    pub(super) whole: bool,
    /// T.
    pub(super) seq_len: usize,
    pub(super) seed: u64,
}

impl Cut {
    /// Where training ends in a row of so many tokens.
    pub(super) fn train(len: usize, validation_fraction: f64, whole: bool) -> usize {
        match whole {
            true => len,
            false => (len as f64 * (1.0 - validation_fraction)) as usize,
        }
    }

    /// The tokens of a sample: at most T + 1, the inputs and, one later, the targets. Samples of training begin anywhere, those of other
    /// parts follow each other.
    pub(super) fn range(self, split: Split, index: u64) -> Range<usize> {
        let t = self.seq_len;
        if split == Split::Train {
            let mut rng = SampleRng::new(self.seed, "text train", index);
            let start = rng.below((self.train - t) as u64) as usize;
            return start..start + t + 1;
        }
        let begin = match split {
            Split::Test => 0,
            _ => self.train,
        };
        let start = begin + index as usize * t;
        start..(start + t + 1).min(self.len)
    }

    /// Samples of a part; one pass of training is as many as cover the training part once.
    pub(super) fn samples(self, split: Split) -> u64 {
        let predicted = match split {
            Split::Train => self.train - 1,
            Split::Test if self.whole => self.len - 1,
            Split::Validation => (self.len - self.train).saturating_sub(1),
            Split::Test => 0,
        };
        predicted.div_ceil(self.seq_len) as u64
    }

    /// The training part as streams side by side.
    pub(super) fn streams(self) -> Streams {
        Streams {
            predicted: self.train - 1,
            time: self.seq_len,
            seed: self.seed,
        }
    }
}
